"""What attrib said of a thread's situation, and what counts as right, as an error and as a wrong claim.

- The first finding is the first failed one of the report that is about the model and how it ran: those in `RECORDING` are
  about this recording on this machine, and are passed over. The first cause is the first that the report's first screen may
  name.
- Right is a first finding or a first cause that the situation expects, with its direction and one of its words. Where the
  thread found no difference, right is that none of the rules that could claim one claims a saving; where it found that only
  warm steps may be compared, right is a significant difference in the direction of the warm steps.
- The figure is that of the right finding (its saving, or what it explains), else of the right cause; or the difference of
  the plain steps. Its error is against the saving by hand, where that is certain.
- A wrong claim is a saving of a rule that the change made by hand tests, whose interval lies wholly beyond the hand-made one
  and whose figure is beyond it by more than `ROOM` of either; or a one-sided cause of more than `ONE_SIDED_SHARE` of the
  slower step that the situation does not have.
"""

from collections.abc import Iterator

import msgspec
from threads_hand import Saving
from threads_situation import Situation

RECORDING = frozenset({"unstable-measurement", "unmatched-time", "profiler-overhead"})
"""Rules about the recording."""

ONE_SIDED = ("extra_work", "missing_work")
ONE_SIDED_SHARE = 0.02
ROOM = 0.25
"""How far a figure may be from the saving by hand: the goal for the worst error."""


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A failed finding, in the report's order."""

    rule: str
    text: str
    saving_ns: int = 0
    explains_ns: int = 0
    low_ns: int = 0
    high_ns: int = 0

    @property
    def figure_ns(self) -> int:
        """Its saving, or what it explains."""
        return self.saving_ns or abs(self.explains_ns)


class Blamed(msgspec.Struct, frozen=True, kw_only=True):
    """A cause of the ledger: both sides' time, and the ops of its largest row. `named` where the first screen says it."""

    cause: str
    torch_ns: int
    onnxruntime_ns: int
    delta_ns: int
    ops: tuple[str, ...] = ()
    named: bool = True


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One situation as it was run: what attrib said, and what the change saved by hand; or the one line of an error.

    `causes` come in the order in which the report names them; `reasons` are what the report says of itself, and of the
    expected rules that did not fail.
    """

    situation: str
    torch_ns: int = 0
    onnxruntime_ns: int = 0
    delta_ns: int = 0
    significant: bool = False
    findings: tuple[Said, ...] = ()
    causes: tuple[Blamed, ...] = ()
    hand: Saving | None = None
    reasons: tuple[str, ...] = ()
    seconds: float = 0.0
    error: str = ""

    @property
    def step_ns(self) -> int:
        """The slower step."""
        return max(self.torch_ns, self.onnxruntime_ns)


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """How an outcome compares with the thread.

    Attributes:
        finding: The first finding; empty where there is none.
        cause: The first cause; empty where none is named.
        right: Whether either is the thread's conclusion.
        figure_ns: attrib's figure for it; None where it has none.
        error: The figure over the saving by hand, minus 1; None where either is missing or the saving is not certain.
        wrong: Wrong claims, one phrase each.
    """

    finding: str
    cause: str
    right: bool
    figure_ns: int | None
    error: float | None
    wrong: tuple[str, ...]


def score(situation: Situation, outcome: Outcome) -> Score:
    """Compare what attrib said with the thread's conclusion, and its figure with the change made by hand."""
    finding = next((said for said in outcome.findings if said.rule not in RECORDING), None)
    cause = next((blamed for blamed in outcome.causes if blamed.named), None)
    by_finding = finding is not None and _is_expected_finding(situation, finding)
    by_cause = cause is not None and _is_expected_cause(situation, cause)
    if situation.expected.absent:
        right = not outcome.error and not any(_claims(situation, outcome))
    elif not situation.expected.rules and not situation.expected.causes:
        right = outcome.significant and _agrees(situation, outcome.delta_ns)
    else:
        right = by_finding or by_cause
    figure = None
    if right and situation.figure == "headline":
        figure = abs(outcome.delta_ns)
    elif by_finding and finding is not None:
        figure = finding.figure_ns or None
    elif by_cause and cause is not None:
        figure = abs(cause.delta_ns)
    hand = outcome.hand
    certain = figure is not None and hand is not None and hand.low_ns > 0
    return Score(
        finding=finding.rule if finding else "",
        cause=cause.cause if cause else "",
        right=right,
        figure_ns=figure,
        error=figure / hand.saving_ns - 1 if certain and figure is not None and hand is not None else None,
        wrong=tuple(_wrong(situation, outcome)),
    )


def _is_expected_finding(situation: Situation, said: Said) -> bool:
    expected = situation.expected
    told = not expected.names or any(name in said.text for name in expected.names)
    return (
        said.rule in expected.rules and told and (said.saving_ns > 0 or _agrees(situation, said.explains_ns))
    )


def _is_expected_cause(situation: Situation, blamed: Blamed) -> bool:
    expected = situation.expected
    told = not expected.names or any(name in op for name in expected.names for op in blamed.ops)
    return blamed.cause in expected.causes and told and _agrees(situation, blamed.delta_ns)


def _agrees(situation: Situation, delta_ns: int) -> bool:
    """Whether a difference has the direction that the thread found; one without a figure contradicts nothing."""
    return {"": True, "slower": delta_ns >= 0, "faster": delta_ns <= 0}[situation.expected.direction]


def _claims(situation: Situation, outcome: Outcome) -> Iterator[Said]:
    """Findings that claim a saving of what the change made by hand takes away."""
    tested = {*situation.expected.rules, *situation.expected.absent}
    return (said for said in outcome.findings if said.rule in tested and said.saving_ns > 0)


def _wrong(situation: Situation, outcome: Outcome) -> Iterator[str]:
    hand = outcome.hand
    for said in _claims(situation, outcome) if hand is not None else ():
        assert hand is not None
        apart = said.low_ns > hand.high_ns
        if apart and said.saving_ns - hand.saving_ns > ROOM * max(hand.saving_ns, said.saving_ns):
            yield f"{said.rule} saves {said.saving_ns / 1e3:,.0f} µs, by hand {hand.saving_ns / 1e3:,.0f}"
    for blamed in outcome.causes:
        time = max(blamed.torch_ns, blamed.onnxruntime_ns)
        if blamed.cause in ONE_SIDED and blamed.cause not in situation.one_sided:
            share = time / outcome.step_ns if outcome.step_ns else 0.0
            if share > ONE_SIDED_SHARE:
                yield f"{blamed.cause} {share:.0%} of the step: {', '.join(blamed.ops[:4])}"
