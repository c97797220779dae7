"""Bytes of a trace file, plain or packed, whole or damaged, as blocks of whole events."""
