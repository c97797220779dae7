"""How each format of trace becomes an event table; `registry` lists them.

Knows nothing of trace directories.
"""

__all__ = ["detection", "kineto", "ort_profile", "registry", "step_windows", "times", "trace_format"]
