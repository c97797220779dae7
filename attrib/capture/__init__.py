"""Running both engines: the only layer that may import them."""

from attrib.capture.config.options import CaptureOptions
from attrib.capture.config.progress import NoProgress, Progress
from attrib.capture.session.capture import CaptureInterrupted, SideError, capture
from attrib.capture.session.capture_request import Named
from attrib.capture.session.resume import resume
from attrib.capture.workload.handover import Handover

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
