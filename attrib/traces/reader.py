"""Reads a trace of either format."""

from pathlib import Path

from attrib.model.events import EventTable
from attrib.traces import kineto, ort_profile
from attrib.traces.sniff import open_trace

_TABLES = {"kineto": kineto.table_of, "ort-profile": ort_profile.table_of}


def read_trace(path: Path) -> EventTable:
    """Read a Kineto trace or an ONNX Runtime profile, plain or gzip.

    Raises:
        AttribError: The file cannot be read, is neither, is cut short or not valid JSON.
    """
    with open_trace(path) as (stream, found):
        return _TABLES[found](stream)
