"""From a trace directory's analysis to what experiments look at."""

from attrib.api import Analysis
from attrib.capture.options import CaptureOptions
from attrib.errors import AttribError
from attrib.model.manifest import Manifest
from attrib.verify.protocol import Situation


def manifest_of(analysis: Analysis) -> Manifest:
    """What the capture says of itself.

    Raises:
        AttribError: attrib did not capture the directory, so that nobody knows what ran.
    """
    manifest = analysis.directory.manifest
    if manifest is None:
        raise AttribError(
            f"{analysis.directory.root}: attrib did not capture it, so it does not know what ran",
            hint="record it with `attrib profile`, which writes down how",
        )
    return manifest


def situation_of(analysis: Analysis, options: CaptureOptions) -> Situation:
    """The situation of a capture.

    Args:
        analysis: What `attrib.api.load` gives.
        options: The options with which the capture can be repeated.

    Raises:
        AttribError: attrib did not capture the directory, so that nobody knows what ran.
    """
    return Situation(
        options=options,
        manifest=manifest_of(analysis),
        evidence=analysis.evidence,
        chain=analysis.chain,
        trails=analysis.trails,
    )
