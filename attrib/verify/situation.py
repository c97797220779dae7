"""From a trace directory's analysis to what experiments look at."""

from attrib.api import Analysis
from attrib.capture.options import CaptureOptions
from attrib.errors import AttribError
from attrib.verify.protocol import Situation


def situation_of(analysis: Analysis, options: CaptureOptions) -> Situation:
    """The situation of a capture.

    Args:
        analysis: What `attrib.api.load` gives.
        options: The options with which the capture can be repeated.

    Raises:
        AttribError: attrib did not capture the directory, so that nobody knows what ran.
    """
    manifest = analysis.directory.manifest
    if manifest is None:
        raise AttribError(
            f"{analysis.directory.root}: attrib did not capture it, so it does not know what ran",
            hint="record it with `attrib profile`, which writes down how",
        )
    return Situation(
        options=options,
        manifest=manifest,
        evidence=analysis.evidence,
        chain=analysis.chain,
        trails=analysis.trails,
    )
