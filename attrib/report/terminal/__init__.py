"""The report, the experiments and `attrib explain` on a terminal.

Chooses no words: they come from `report.view`.
"""

__all__ = ["builds", "diff", "explain", "summary"]
