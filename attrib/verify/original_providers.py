"""What a capture says of its execution providers: what `attrib verify` and `attrib profile --resume` share."""

from attrib.capture.original_providers import check_runtime, checked_interpreter, named_interpreter

__all__ = ["check_runtime", "checked_interpreter", "named_interpreter"]
