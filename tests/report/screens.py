"""Documents of the first screens that a reader can meet: each measurement that the words must not go beyond."""

import random
from collections.abc import Callable

import msgspec

from attrib.model.document import (
    CauseRow,
    Check,
    Coverage,
    Delta,
    Document,
    Estimate,
    Judgement,
    Latency,
    PlainBlock,
    Ratio,
)
from tests.report.factory import document, mismatched, not_significant, one_sided

MS = 1_000_000


def blocks_of(
    torch_ns: int,
    onnxruntime_ns: int,
    *,
    rounds: int = 12,
    steps: int = 5,
    launches: int = 3,
    disturbed: dict[int, tuple[str, ...]] | None = None,
    again: bool = True,
) -> tuple[PlainBlock, ...]:
    """Plain blocks in order of time.

    Args:
        torch_ns: PyTorch's step.
        onnxruntime_ns: ONNX Runtime's step.
        rounds: Rounds over all launches.
        steps: Steps of a block.
        launches: Starts of the engines' processes.
        disturbed: Rounds whose first attempt was disturbed, on PyTorch's side, and why; those steps take four times as long.
        again: Such a round is measured again, and its first attempt does not count.
    """
    rng = random.Random(5)
    found = []
    for number in range(rounds):
        reasons = (disturbed or {}).get(number, ())
        for attempt in range(2 if reasons and again else 1):
            bad = bool(reasons) and attempt == 0
            for role, ns in (("torch", torch_ns), ("onnxruntime", onnxruntime_ns)):
                slow = 4 if bad and role == "torch" else 1
                found.append(
                    PlainBlock(
                        role=role,
                        number=number,
                        launch=number * launches // rounds,
                        attempt=attempt,
                        counted=not (bad and again),
                        disturbed=reasons if bad and role == "torch" else (),
                        walls_ns=tuple(round(ns * slow * rng.lognormvariate(0, 0.03)) for _ in range(steps)),
                    )
                )
    return tuple(found)


def cause(name: str, delta: float, low: float, high: float, *, unit: int = MS) -> CauseRow:
    """A cause from its delta and the ends of its interval, in units."""
    return CauseRow(
        cause=name,
        torch_ns=round(max(-delta, 0) * unit),
        onnxruntime_ns=round(max(delta, 0) * unit),
        delta_ns=round(delta * unit),
        low_ns=round(low * unit),
        high_ns=round(high * unit),
    )


def measured(
    torch: tuple[float, float, float],
    ort: tuple[float, float, float],
    delta: tuple[float, float],
    ratio: tuple[float, float, float],
    causes: tuple[CauseRow, ...],
    judgement: Judgement,
    *,
    unit: int = MS,
    **changes: object,
) -> Document:
    """A document without ledger rows.

    Args:
        torch: PyTorch's step and its interval, in units.
        ort: ONNX Runtime's.
        delta: The interval of their difference.
        ratio: PyTorch's step over ONNX Runtime's, with its interval.
        causes: What leads from one to the other.
        judgement: How far it carries.
        unit: Nanoseconds in a unit.
        **changes: Other fields of the document.
    """
    a, b = (Estimate(**{k: round(v * unit) for k, v in zip(("median", "low", "high"), side, strict=True)}, n=180)
            for side in (torch, ort))  # fmt: skip
    change = b.median - a.median
    # What rounding leaves goes to the remainder, as in a ledger.
    rest = change - sum(c.delta_ns for c in causes)
    causes = tuple(
        msgspec.structs.replace(c, delta_ns=c.delta_ns + rest) if c.cause == "unattributed" else c
        for c in causes
    )
    assert sum(c.delta_ns for c in causes) == change or not causes
    remainders = {c.cause: c.delta_ns for c in causes}
    fields: dict[str, object] = {
        "latency": Latency(
            torch_ns=a,
            onnxruntime_ns=b,
            delta_ns=Delta(median=change, low=round(delta[0] * unit), high=round(delta[1] * unit)),
            significant=judgement.significant,
            ratio=Ratio(value=ratio[0], low=ratio[1], high=ratio[2]),
            launches=3,
        ),
        "coverage": Coverage(
            ort_node_time_mapped=1.0,
            torch_call_time_mapped=0.987,
            unattributed_ns=remainders.get("unattributed", 0),
            profiler_overhead_ns=remainders.get("profiler_overhead", 0),
        ),
        "causes": causes,
        "judgement": judgement,
        "plain_blocks": blocks_of(a.median, b.median),
        "findings": (),
        "plain_ns": {},
        "timeline": {},
    }
    return document((), **(fields | changes))


_BERT = (
    cause("kernel", -41.9, -44.0, -39.1),
    cause("framework", -11.3, -12.0, -10.9),
    cause("fused", 3.2, 3.0, 3.6),
    cause("layout", 2.2, 1.8, 2.4),
    cause("decomposed", -1.9, -2.4, -1.6),
    cause("missing_work", -0.3, -0.31, -0.28),
    cause("extra_work", 0.03, 0.028, 0.04),
    cause("cast", -0.02, -0.03, -0.01),
    cause("profiler_overhead", 0.9, -1.9, 4.2),
    cause("unattributed", -1.11, -1.2, -1.0),
)


NOT_QUIET = Check(
    check="Quiet machine",
    state="failed",
    title="The machine was busy",
    detail="30 of 40 blocks were disturbed; 8 of 12 plain rounds stayed disturbed: the last attempt at each counts",
    effect="Both engines look slower, and not alike.",
    fix="stop other programs",
)


def quiet() -> Document:
    """BERT-base on a quiet machine: three launches, two disturbed blocks measured again."""
    named = ("kernel", "framework", "fused", "layout", "decomposed", "missing_work", "extra_work", "cast")
    judgement = Judgement(significant=True, named=named, rounds=12, disturbed={"waiting": 2})
    blocks = blocks_of(185_100_000, 134_900_000, disturbed={3: ("waiting",), 7: ("waiting",)})
    return measured(
        (185.1, 183.0, 187.9), (134.9, 133.1, 136.2), (-53.4, -46.7), (1.372, 1.301, 1.437), _BERT, judgement,
        plain_blocks=blocks,
    )  # fmt: skip


def busy() -> Document:
    """The same model while other programs ran all the time: most rounds stayed disturbed, and count."""
    judgement = Judgement(
        significant=True, busy=True, split_reliable=False, rounds=4, disturbed={"waiting": 16, "others": 9},
        reasons=("8 of 12 plain rounds stayed disturbed: the last attempt at each counts",),
    )  # fmt: skip
    causes = (
        cause("kernel", -46.6, -268.9, -40.3), cause("framework", -9.9, -17.7, -8.8), cause("fused", 3.7, -76.1, 3.8),
        cause("layout", 3.6, 3.4, 4.5), cause("decomposed", 1.5, -10.7, 2.7), cause("cast", -0.02, -0.1, 0.1),
        cause("profiler_overhead", -2.7, -78.4, 305.2), cause("unattributed", 0.12, 0.1, 0.2),
    )  # fmt: skip
    blocks = blocks_of(
        187_200_000,
        136_900_000,
        disturbed=dict.fromkeys((1, 2, 4, 5, 6, 8, 9, 10), ("waiting",)),
        again=False,
    )
    return measured(
        (187.2, 184.1, 284.0), (136.9, 135.8, 143.4), (-143.6, -16.7), (1.37, 1.12, 1.93), causes, judgement,
        plain_blocks=blocks, comparability=(NOT_QUIET,),
    )  # fmt: skip


def inconclusive() -> Document:
    """Another program held every processor: no round was quiet."""
    judgement = Judgement(
        busy=True, inconclusive=True, split_reliable=False, disturbed={"waiting": 24},
        reasons=("12 of 12 plain rounds stayed disturbed: the last attempt at each counts",),
    )  # fmt: skip
    causes = (
        cause("kernel", -60, -400, 280),
        cause("framework", -15, -90, 70),
        cause("unattributed", 35, -300, 420),
    )
    blocks = blocks_of(
        420_000_000, 380_000_000, disturbed=dict.fromkeys(range(12), ("waiting",)), again=False
    )
    return measured(
        (420, 300, 900),
        (380, 250, 800),
        (-310, 260),
        (1.1, 0.55, 2.2),
        causes,
        judgement,
        plain_blocks=blocks,
    )


def busy_without_a_difference() -> Document:
    """A busy machine, on which the two sides cannot be told apart."""
    made = busy()
    latency = msgspec.structs.replace(
        made.latency,
        delta_ns=msgspec.structs.replace(made.latency.delta_ns, high=40 * MS),
        ratio=Ratio(value=1.37, low=0.82, high=1.93),
        significant=False,
    )
    judgement = msgspec.structs.replace(made.judgement, significant=False)
    return msgspec.structs.replace(made, latency=latency, judgement=judgement)


def microseconds() -> Document:
    """A step of 40 µs."""
    named = ("framework", "kernel")
    causes = (
        cause("framework", -22.3, -22.9, -21.8, unit=1000), cause("kernel", -2.4, -2.7, -2.0, unit=1000),
        cause("layout", 0.3, 0.2, 0.4, unit=1000), cause("cast", 0.1, 0.0, 0.2, unit=1000),
        cause("profiler_overhead", 1.1, -0.9, 3.4, unit=1000), cause("unattributed", 0.2, 0.1, 0.3, unit=1000),
    )  # fmt: skip
    return measured(
        (40.1, 39.6, 40.9), (17.1, 16.9, 17.5), (-23.6, -22.5), (2.345, 2.29, 2.40), causes,
        Judgement(significant=True, named=named, rounds=12), unit=1000,
        plain_blocks=blocks_of(40_100, 17_100, rounds=30, steps=200),
    )  # fmt: skip


def tiny_nodes() -> Document:
    """Three thousand tiny nodes: profiling costs more than the step, and a cause exceeds it."""
    causes = (
        cause("kernel", -114, -131, -98), cause("framework", -31, -40, -22), cause("layout", 4.1, 2, 6),
        cause("profiler_overhead", 101, 82, 124), cause("unattributed", -0.02, -0.1, 0.1),
    )  # fmt: skip
    reason = "Profiler overhead and unattributed time reach 124 ms, more than a quarter of the step of 43 ms."
    return measured(
        (43.1, 42.6, 43.6), (3.1, 3.0, 3.2), (-40.6, -39.4), (13.9, 13.5, 14.4), causes,
        Judgement(significant=True, split_reliable=False, rounds=12, reasons=(reason,)),
    )  # fmt: skip


def same() -> Document:
    """PyTorch against itself."""
    causes = (
        cause("kernel", -0.2, -1.1, 0.8),
        cause("framework", 0.3, -0.2, 0.7),
        cause("unattributed", -0.04, -0.3, 0.2),
    )
    sides = {role: msgspec.structs.replace(side, engine="torch") for role, side in document().sides.items()}
    return measured(
        (25.61, 25.1, 26.2), (25.68, 25.2, 26.1), (-0.61, 0.74), (0.997, 0.971, 1.024), causes,
        Judgement(rounds=12), sides=sides,
    )  # fmt: skip


def foreign() -> Document:
    """Two traces that somebody else recorded: profiled steps only."""
    latency = Latency(torch_ns=None, onnxruntime_ns=None, delta_ns=None, significant=False)
    return document(
        (),
        sides={},
        latency=latency,
        causes=(),
        findings=(),
        plain_ns={},
        protocol=None,
        outputs=(),
        timeline={},
    )


def with_outlier() -> Document:
    """One step took thirty times as long, and nothing shows why: the strip has a logarithmic axis."""
    made = quiet()
    first, *rest = made.plain_blocks
    slow = msgspec.structs.replace(first, walls_ns=(first.walls_ns[0] * 30, *first.walls_ns[1:]))
    return msgspec.structs.replace(made, plain_blocks=(slow, *rest))


SCREENS: dict[str, Callable[[], Document]] = {
    "quiet": quiet,
    "busy": busy,
    "busy-same": busy_without_a_difference,
    "inconclusive": inconclusive,
    "microseconds": microseconds,
    "tiny-nodes": tiny_nodes,
    "same": same,
    "cancel": not_significant,
    "foreign": foreign,
    "one-engine": one_sided,
    "old": document,
    "unfair": mismatched,
    "outlier": with_outlier,
}
"""Every first screen that was looked at, by name."""
