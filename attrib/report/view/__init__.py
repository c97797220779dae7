"""What a reader is shown, computed once from a document.

No markup in here.
"""

__all__ = [
    "breakdown",
    "builds",
    "diff",
    "experiment_row",
    "experiments",
    "explain",
    "operators",
    "roofline",
    "strip",
    "text",
    "timeline",
    "verdict",
    "view",
    "waterfall",
]
