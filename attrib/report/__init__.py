"""Renderings of a document: HTML, JSON, Markdown and the terminal, all made from one view model."""
