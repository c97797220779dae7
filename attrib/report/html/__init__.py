"""The page: templates, static files, and the geometry of its charts.

Chooses no words: they come from `report.view`.
"""

__all__ = ["diff_page", "embed", "page"]
