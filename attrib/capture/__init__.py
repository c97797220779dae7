"""Running both engines: the only layer that may import them."""

from attrib.capture.config.progress import NoProgress, Progress
from attrib.capture.config.user_supplied import UserSupplied
from attrib.capture.session.capture import CaptureInterrupted, SideError, capture
from attrib.capture.session.resume import resume
from attrib.capture.workload.handover import Handover
from attrib.model.capture_options import CaptureOptions

__all__ = [
    "CaptureInterrupted",
    "CaptureOptions",
    "Handover",
    "NoProgress",
    "Progress",
    "SideError",
    "UserSupplied",
    "capture",
    "resume",
]
