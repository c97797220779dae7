"""What a report can still say of a capture that was interrupted: the headline, and what is missing."""

from attrib.analysis.attribution.ledger.headline import Headline
from attrib.analysis.attribution.ledger.rows import Ledger
from attrib.model.document import LedgerRow
from attrib.model.manifest import Manifest
from attrib.model.region import Match

NOT_PROFILED = "(capture)/not profiled"
RESUME = "`attrib profile --resume TRACE_DIR` measures the rest"
_EVIDENCE = ("neither engine's profile is there: the capture was interrupted before they were written",)


def plain_ledger(headline: Headline) -> Ledger:
    """The ledger of plain steps alone: one row, whose cause is not known.

    Args:
        headline: The plain steps of both sides.
    """
    latency = headline.latency
    assert latency.torch_ns and latency.onnxruntime_ns and latency.delta_ns and headline.sampling  # noqa: S101, PT018
    row = LedgerRow(
        id=f"{NOT_PROFILED}:unattributed",
        region=NOT_PROFILED,
        module="",
        cause="unattributed",
        torch_ns=latency.torch_ns.median,
        onnxruntime_ns=latency.onnxruntime_ns.median,
        delta_ns=latency.delta_ns.median,
        low_ns=latency.delta_ns.low,
        high_ns=latency.delta_ns.high,
        match=Match(method="none", confidence=1.0, evidence=_EVIDENCE),
    )
    delta = headline.replicates["onnxruntime"] - headline.replicates["torch"]
    return Ledger((row,), delta[None, :], headline.sampling)


def notes_on(manifest: Manifest | None, rounds: int, launches: int = 1) -> tuple[str, ...]:
    """What the reader should know of how the capture came about.

    Args:
        manifest: What the capture says of itself.
        rounds: Rounds in which both engines were measured.
        launches: Launches of the engines that the intervals know of.
    """
    if manifest is None:
        return ()
    notes = []
    if any(side.state == "interrupted" for side in manifest.sides.values()):
        planned = manifest.protocol.rounds if manifest.protocol else 0
        so_far = f" after {rounds} of {planned} rounds" if planned else ""
        notes.append(f"the capture was interrupted{so_far}: {RESUME}")
    measured = [str(launch.rounds) for launch in manifest.launches if launch.rounds]
    if len(measured) > 1:
        parts = f"its rounds ({' + '.join(measured)}) were measured in {len(measured)} parts"
        text = f"the capture was interrupted and resumed: {parts}"
        if launches < len(measured):
            text += ", and the intervals do not know that two processes of one engine differ"
        notes.append(text)
    return tuple(notes)
