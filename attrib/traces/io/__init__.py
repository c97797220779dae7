"""Bytes of a trace file, plain or packed, whole or damaged, as blocks of whole events.

Knows no format's fields.
"""

__all__ = ["reader_protocol", "recovery", "source", "stream", "unpack", "window"]
