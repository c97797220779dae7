"""Running both engines: the only layer that may import them."""

from attrib.capture.asked import Named
from attrib.capture.capture import CaptureInterrupted, SideError, capture
from attrib.capture.handover import Handover
from attrib.capture.options import CaptureOptions
from attrib.capture.progress import NoProgress, Progress
from attrib.capture.resume import resume

__all__ = [
    "CaptureInterrupted",
    "CaptureOptions",
    "Handover",
    "Named",
    "NoProgress",
    "Progress",
    "SideError",
    "capture",
    "resume",
]
