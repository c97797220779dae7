"""Whether the two engines were compared under the same conditions: one function a check.

Knows no rule.
"""

__all__ = ["check", "checks", "math", "work"]
