"""Trace files to event tables: any generation of both formats, exact to the nanosecond, streaming."""

from attrib.traces.directory import TraceDirectory, open_directory
from attrib.traces.kineto import read_kineto
from attrib.traces.ort_profile import read_ort_profile
from attrib.traces.reader import read_trace
from attrib.traces.sniff import format_of

__all__ = ["TraceDirectory", "format_of", "open_directory", "read_kineto", "read_ort_profile", "read_trace"]
