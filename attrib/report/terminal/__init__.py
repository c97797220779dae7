"""The report, the experiments and `attrib explain` on a terminal."""
