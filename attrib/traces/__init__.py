"""Trace files to recordings: any generation of each format, exact to the nanosecond, streaming."""

from attrib.traces.directory.trace_directory import TraceDirectory, open_directory
from attrib.traces.formats.detection import format_of
from attrib.traces.reader import read_kineto, read_ort_profile, read_trace

__all__ = ["TraceDirectory", "format_of", "open_directory", "read_kineto", "read_ort_profile", "read_trace"]
