"""The options of a capture, rebuilt from its manifest: what `attrib verify` and `attrib profile --resume` share."""

from attrib.capture.original import CAPTURE_AGAIN, OWN_INPUTS, options_of, recorded_options

__all__ = ["CAPTURE_AGAIN", "OWN_INPUTS", "options_of", "recorded_options"]
