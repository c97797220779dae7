"""What captures beside a neighbour must show, held against the quiet ones, and the tables of it."""

import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import msgspec
from captures import Figures

QUIET = "quiet"
NEAR, LONGEST, LARGEST = 0.05, 3.0, 3
"""How far the median ratio may be from the quiet one, how many times as long a capture may take, how many causes count."""

HEADER = """\
| condition | captures | ratio, median (all) | off | largest causes | seconds | times quiet | verdicts | holds quiet |
|---|---|---|---|---|---|---|---|---|"""

OUTCOMES = """\
| condition | asked | found | met |
|---|---|---|---|"""

By = Mapping[str, Sequence[Figures]]


class Outcome(msgspec.Struct, frozen=True):
    """One thing that is asked of a condition."""

    condition: str
    asked: str
    found: str
    met: bool


def ratio(captures: Sequence[Figures]) -> float:
    """Median ratio."""
    return statistics.median(figures.ratio for figures in captures)


def seconds(captures: Sequence[Figures]) -> float:
    """Median wall time of the command."""
    return statistics.median(figures.seconds for figures in captures)


def largest(captures: Sequence[Figures]) -> tuple[str, ...]:
    """The largest causes that more than half of the captures may name, by the median of their size over all captures."""
    named = Counter(cause for figures in captures for cause in figures.named)
    often = [cause for cause, count in named.items() if 2 * count > len(captures)]
    return tuple(sorted(often, key=lambda cause: (-_size(captures, cause), cause))[:LARGEST])


def _size(captures: Sequence[Figures], cause: str) -> float:
    sizes = [{share.cause: abs(share.delta_ns) for share in figures.causes} for figures in captures]
    return statistics.median(its.get(cause, 0) for its in sizes)


def holds(figures: Figures, value: float) -> bool:
    """Whether the interval of a capture's ratio holds a value; one without an interval holds nothing."""
    return figures.bounds is not None and figures.bounds[0] <= value <= figures.bounds[1]


def near(condition: str, by: By) -> list[Outcome]:
    """The figures are those of the quiet machine, and do not take too long."""
    ours, quiet = by[condition], by[QUIET]
    off = ratio(ours) / ratio(quiet) - 1
    causes, expected = largest(ours), largest(quiet)
    longer = seconds(ours) / seconds(quiet)
    return [
        Outcome(
            condition, f"median ratio within {NEAR:.0%} of the quiet one", f"{off:+.1%}", abs(off) <= NEAR
        ),
        Outcome(
            condition,
            f"the same {LARGEST} largest causes",
            f"{_names(causes)}; quiet: {_names(expected)}",
            bool(expected) and set(causes) == set(expected),
        ),
        Outcome(condition, f"at most {LONGEST:g} times the time", f"{longer:.1f}", longer <= LONGEST),
    ]


def honest(condition: str, by: By) -> list[Outcome]:
    """The quiet ratio is in the interval, or the verdict says that the machine was busy."""
    quiet = ratio(by[QUIET])
    fine = sum(holds(figures, quiet) or figures.busy or figures.inconclusive for figures in by[condition])
    count = len(by[condition])
    asked = "every interval holds the quiet ratio, or the verdict says busy"
    return [Outcome(condition, asked, f"{fine} of {count}", fine == count)]


def silent(condition: str, by: By) -> list[Outcome]:
    """Nothing is claimed."""
    fine, count = sum(figures.inconclusive for figures in by[condition]), len(by[condition])
    return [Outcome(condition, "every verdict says inconclusive", f"{fine} of {count}", fine == count)]


ASKED: dict[str, Callable[[str, By], list[Outcome]]] = {
    "bursts": near,
    "starting": near,
    "half": honest,
    "bandwidth": honest,
    "full": silent,
}
"""What is asked of each condition."""

CONDITIONS = (QUIET, *ASKED)


def judge(by: By) -> list[Outcome]:
    """What became of every condition that was captured."""
    return [outcome for name, ask in ASKED.items() if by.get(name) for outcome in ask(name, by)]


def table(by: By) -> str:
    """One row a condition."""
    return "\n".join([HEADER, *(_row(name, by) for name in CONDITIONS if by.get(name))])


def _row(condition: str, by: By) -> str:
    its, quiet = by[condition], by.get(QUIET)
    ratios = [figures.ratio for figures in its]
    verdicts = Counter(figures.verdict for figures in its)
    held = sum(holds(figures, ratio(quiet)) for figures in its) if quiet else None
    shown = [
        condition,
        str(len(its)),
        f"{ratio(its):.3f} ({min(ratios):.3f} to {max(ratios):.3f})",
        f"{ratio(its) / ratio(quiet) - 1:+.1%}" if quiet else "",
        _names(largest(its)),
        f"{seconds(its):.0f}",
        f"{seconds(its) / seconds(quiet):.1f}" if quiet else "",
        "; ".join(f"{count} x {verdict}" for verdict, count in verdicts.most_common()),
        "" if held is None else f"{held} of {len(its)}",
    ]
    return f"| {' | '.join(shown)} |"


def outcome_table(outcomes: Sequence[Outcome]) -> str:
    """One row a thing that is asked."""
    rows = [f"| {o.condition} | {o.asked} | {o.found} | {'yes' if o.met else 'NO'} |" for o in outcomes]
    return "\n".join([OUTCOMES, *rows])


def _names(causes: Sequence[str]) -> str:
    return ", ".join(causes) or "none named"
