"""Two captures beside each other: what is not the same about them, and what that changed.

It reads two documents and nothing else: a `report.json` from another machine will do. It knows no trace and no engine.
"""

from attrib.comparison.compare import compare
from attrib.comparison.gate import RULE_LEVELS, Gate, Limits, StepLimit, gates, parse_limit

__all__ = ["RULE_LEVELS", "Gate", "Limits", "StepLimit", "compare", "gates", "parse_limit"]
