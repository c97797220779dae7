"""The formats of trace that attrib reads. To add one, declare its `TraceFormat` in a module here and name it below."""

from attrib.traces.formats.kineto import KINETO
from attrib.traces.formats.ort_profile import ORT_PROFILE
from attrib.traces.formats.trace_format import TraceFormat
from attrib.traces.io.stream import EventStream

FORMATS: tuple[TraceFormat, ...] = (ORT_PROFILE, KINETO)
"""In the order in which a file is tried: Kineto's is the layout that many tools write, so it comes last."""


def find_format(name: str) -> TraceFormat:
    """The format of that name.

    Raises:
        LookupError: There is none, which is a bug: names come from here.
    """
    for form in FORMATS:
        if form.name == name:
            return form
    raise LookupError(f"no format of trace is called {name}")


def detect_format(stream: EventStream) -> TraceFormat | None:
    """The format of an opened file, by what it holds; None where it is of none."""
    sample = stream.sample()
    return next((form for form in FORMATS if form.detect(stream, sample)), None)


def wanted_facts() -> frozenset[str]:
    """The members beside the events that any format needs: they are passed before the format is known."""
    return frozenset().union(*(form.facts for form in FORMATS))
