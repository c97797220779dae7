"""The report as a comment on a pull request.

Chooses no words: they come from `report.view`.
"""

__all__ = ["diff", "summary", "text"]
