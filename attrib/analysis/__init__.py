"""From two recordings to one document: the stages of `pipeline`, and what each of them works with.

Knows no engine and draws nothing.
"""

__all__ = ["pipeline", "provenance"]
