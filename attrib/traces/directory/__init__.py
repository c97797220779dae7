"""A trace directory: its manifest, its files, and a directory that attrib did not write.

Splits and matches nothing.
"""

__all__ = ["manifest_file", "trace_directory"]
