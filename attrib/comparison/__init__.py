"""Two captures beside each other, or two builds of ONNX Runtime: what is not the same about them, and what that changed.

Captures are compared by their documents: a `report.json` from another machine will do. It knows no trace and no engine.
"""

from attrib.comparison.compare import compare
from attrib.comparison.gate import RULE_LEVELS, Gate, Limits, StepLimit, gates, parse_limit
from attrib.comparison.nodes import BuildRun, compare_nodes

__all__ = [
    "RULE_LEVELS",
    "BuildRun",
    "Gate",
    "Limits",
    "StepLimit",
    "compare",
    "compare_nodes",
    "gates",
    "parse_limit",
]
