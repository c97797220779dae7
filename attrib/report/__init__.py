"""Renderings of a document: HTML, JSON, Markdown and the terminal, all made from one view model.

Analyzes nothing: what is not in the document is not shown.
"""

__all__ = ["files", "json_report", "schema"]
