"""Trace files to event tables: any generation of both formats, exact to the nanosecond, streaming."""

from attrib.traces.directory.trace_directory import TraceDirectory, open_directory
from attrib.traces.formats.detection import format_of
from attrib.traces.formats.kineto import read_kineto
from attrib.traces.formats.ort_profile import read_ort_profile
from attrib.traces.reader import read_trace

__all__ = ["TraceDirectory", "format_of", "open_directory", "read_kineto", "read_ort_profile", "read_trace"]
