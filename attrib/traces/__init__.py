"""Trace files to event tables: any generation of both formats, exact to the nanosecond, streaming."""

from attrib.traces.reader import format_of, read_kineto, read_ort_profile, read_trace

__all__ = ["format_of", "read_kineto", "read_ort_profile", "read_trace"]
