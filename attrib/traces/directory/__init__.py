"""A trace directory: its manifest, its files, and a directory that attrib did not write."""
