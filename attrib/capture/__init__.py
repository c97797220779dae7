"""Running both engines: the only layer that may import them."""

from attrib.capture.capture import CaptureInterrupted, SideError, capture
from attrib.capture.handover import Handover
from attrib.capture.options import CaptureOptions
from attrib.capture.progress import NoProgress, Progress

__all__ = [
    "CaptureInterrupted",
    "CaptureOptions",
    "Handover",
    "NoProgress",
    "Progress",
    "SideError",
    "capture",
]
