"""How far a measurement carries, before words are made of it: what counts, what was disturbed, whether the split holds.

Two questions are kept apart: whether the difference of the plain steps is known, and whether its split by cause is.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median

import numpy as np

from attrib.analysis.attribution.ledger.headline import Headline
from attrib.analysis.attribution.ledger.rows import Ledger
from attrib.analysis.attribution.page_faults import count_faults, differ_by_launch
from attrib.model.disturbance import REASONS, UNSEEN, UNSEEN_NAMES, unseen
from attrib.model.document import Caches, Cause, Judgement, LaunchState, MachineState, PlainBlock
from attrib.model.latency import EVIDENCE_COLUMNS, REFERENCES, LatencyTable, TimedBlock
from attrib.model.manifest import ROLES, Role, Side, engine_titles
from attrib.units import format_ns, whole_percent
from attrib.wording import counted, listed, spans

REMAINDERS: tuple[Cause, ...] = ("profiler_overhead", "unattributed")
"""What is left of the difference when everything that is known has its cause."""

REMAINDER_LIMIT = 0.25
"""Share of the slower step that the remainders may reach, at either end of their interval, before no cause is named: causes
of a tenth of the step could then be theirs."""

JUDGED = ("waiting_ns", "others_ns", "stolen_ns")
"""The evidence by which a block counts as disturbed; the rest is told, and not judged."""

CHANGED = 1.25
"""Ratio of a fixed reference between two launches, above which the machine was not the same. In nine quiet captures of
BERT-base the bandwidth of large copies told two states of one machine apart: 60 to 75 against 35 to 45 GB/s."""

_FIXED_WORK = {"product_ns": "products", "copy_ns": "copies"}
"""Fields of `LaunchState` of which the ratio between launches is judged, and what was timed."""

OTHER_MEMORY = 0.05
"""Share of a plain step that more page faults of the profiled ones may cost before it is said."""

APART = 0.75
"""What two threads take to read the same memory over what they take for memory of their own, from which on their cores
share no cache. A choice: of captures on one virtual machine of two cores, the medians of launches lay in two groups on
either side of it, in which PyTorch's step of BERT-base took about 130 and 155 ms."""


def judge(
    headline: Headline,
    ledger: Ledger,
    table: LatencyTable | None,
    strangers: str = "",
    sides: Mapping[Role, Side] | None = None,
) -> Judgement:
    """Judge the measurement.

    Args:
        headline: The plain steps that count.
        ledger: The split.
        table: All steps; None where none was timed.
        strangers: Why the two sides cannot be of one model; empty where they can.
        sides: What the capture says of the engines.
    """
    share = unexplained_share(headline, ledger)
    reliable = bool(ledger.sides) and share <= REMAINDER_LIMIT and not strangers
    doubts = []
    if strangers:
        doubts.append(strangers)
    elif not ledger.sides:
        doubts.append("there is no split: no profiled step was recorded")
    elif not reliable:
        size = "more than the step itself" if share > 1 else f"up to {whole_percent(share)} of the step"
        doubts.append(f"the split is not reliable: what is not explained may be {size}")
    timed, state, known = table or NO_STEPS, machine_state(table, sides), sides or {}
    clean, disturbed = timed.clean_rounds("plain")
    busy, significant = timed.is_busy("plain") or timed.is_busy("profiled"), headline.latency.significant
    blocks = _judged_blocks(timed)
    titles = engine_titles({role: side.engine for role, side in known.items()})
    return Judgement(
        significant=significant,
        busy=busy,
        # "No significant difference" would be a claim that such a measurement cannot make.
        inconclusive=(timed.is_busy("plain") and not significant) or (bool(disturbed) and not clean),
        split_reliable=reliable,
        named=_named(ledger) if reliable and len(ledger.sides) == len(ROLES) else (),
        rounds=len(clean),
        disturbed=dict(Counter(reason for block in blocks for reason in block.disturbed)),
        reasons=(
            *_machine_reasons(state, blocks, titles),
            *_other_memory(state, blocks, known, titles),
            *doubts,
        ),
    )


_NOTHING = np.array([], dtype=np.int64)
NO_STEPS = LatencyTable(
    engine=(), phase=(), block=_NOTHING, iteration=_NOTHING, start_ns=_NOTHING, wall_ns=_NOTHING
)
"""Of a directory that holds none."""


def unexplained_share(headline: Headline, ledger: Ledger) -> float:
    """The most that is not explained, as a share of the slower step.

    It is the farthest end of an interval from 0: of both remainders together, and of each, which may cancel out. What a
    remainder is of either side counts as well: a profile that is twice as long as the plain step on both sides leaves a
    remainder of nothing in the difference, and no cause as large as it says.
    """
    found = []
    for causes in (REMAINDERS, *((cause,) for cause in REMAINDERS)):
        rows = [row for row in ledger.rows if row.cause in causes]
        total = ledger.total(row.id for row in rows)
        sides = (sum(row.torch_ns for row in rows), sum(row.onnxruntime_ns for row in rows))
        found.append(max(map(abs, (total.low, total.high, *sides))))
    profiled = (sum(row.torch_ns for row in ledger.rows), sum(row.onnxruntime_ns for row in ledger.rows))
    step = max(headline.medians.values(), default=max(profiled))
    return max(found) / max(step, 1)


def _named(ledger: Ledger) -> tuple[Cause, ...]:
    """The causes whose interval excludes 0, the largest first."""
    return tuple(
        row.cause
        for row in ledger.causes()
        if row.cause not in REMAINDERS and not row.low_ns <= 0 <= row.high_ns
    )


def _judged_blocks(table: LatencyTable) -> tuple[TimedBlock, ...]:
    return (*table.every_block("plain"), *table.every_block("profiled"))


def _disturbances(table: LatencyTable, blocks: Sequence[TimedBlock]) -> tuple[str, ...]:
    """What was disturbed, how often, why, and what came of it; nothing where all was quiet."""
    wrong = [block for block in blocks if block.disturbed]
    if not wrong:
        return ()
    counts = Counter(reason for block in wrong for reason in block.disturbed)
    why = ", ".join(REASONS[reason] for reason, _ in counts.most_common())
    were = "was" if len(wrong) == 1 else "were"
    text = f"{len(wrong)} of {counted(len(blocks), 'block')} {were} disturbed ({why})"
    if max(block.attempt for block in blocks):
        text += " and measured again"
    found = [text]
    for phase in ("plain", "profiled"):
        clean, left = table.clean_rounds(phase)
        rounds = counted(len(clean) + len(left), f"{phase} round")
        if table.is_busy(phase):
            tried = "however often they were measured: the last attempt at each counts"
            found.append(f"{len(left)} of {rounds} stayed disturbed, {tried}")
        elif left:
            found.append(
                f"{len(left)} of {rounds} stayed disturbed, and {'is' if len(left) == 1 else 'are'} left out"
            )
    return tuple(found)


def machine_state(
    table: LatencyTable | None, sides: Mapping[Role, Side] | None = None
) -> MachineState | None:
    """What the machine was like in each launch; None where the capture recorded neither a reference nor evidence.

    Args:
        table: All steps.
        sides: What the capture says of the engines; it has the price of a page fault.
    """
    if table is None or not {*REFERENCES, *EVIDENCE_COLUMNS} & set(table.more):
        return None
    blocks = _judged_blocks(table)
    by_launch: dict[int, list[TimedBlock]] = {}
    for block in blocks:
        by_launch.setdefault(block.launch, []).append(block)
    return MachineState(
        launches=tuple(
            LaunchState(
                launch=launch, caches=_caches(its), **{name: _reference(its, name) for name in REFERENCES}
            )
            for launch, its in sorted(by_launch.items())
        ),
        watched=sum(block.evidence.elapsed_ns != UNSEEN for block in blocks),
        disturbances=_disturbances(table, blocks),
        unseen=unseen([block.evidence for block in blocks]),
        faults=count_faults(table, sides or {}),
    )


def _reference(blocks: Iterable[TimedBlock], name: str) -> int | None:
    """Median of a fixed reference over the rounds of one launch that count, nanoseconds; None where none was timed."""
    rounds: Mapping[tuple[str, int], int] = {
        (block.phase, block.number): getattr(block, name)
        for block in blocks
        if block.counted and getattr(block, name) != UNSEEN
    }
    return round(median(rounds.values())) if rounds else None


def _caches(blocks: Iterable[TimedBlock]) -> Caches:
    """Whether the cores shared a cache in one launch, by the median of its rounds: a single one is at times told wrongly."""
    ratios = {
        (block.phase, block.number): block.shared_ns / block.own_ns
        for block in blocks
        if block.counted and block.own_ns > 0 and block.shared_ns > 0
    }
    if not ratios:
        return ""
    return "apart" if median(ratios.values()) >= APART else "shared"


def launches_differ(table: LatencyTable) -> bool:
    """Whether launches were not alike, by what is no duration of an engine's step: fixed work beside it, and page faults."""
    state = machine_state(table)
    if state is None:
        return False
    return bool(_by_state(state)) or any(_changed_references(state)) or differ_by_launch(table)


def _changed_references(state: MachineState) -> Iterator[tuple[str, LaunchState, LaunchState]]:
    """Fields of `LaunchState` that say by their ratio that the machine changed, with the fastest and the slowest launch."""
    for name in _FIXED_WORK:
        known = [launch for launch in state.launches if getattr(launch, name) is not None]
        if not known:
            continue
        by_time = sorted(known, key=lambda launch: int(getattr(launch, name)))
        if getattr(by_time[-1], name) > CHANGED * getattr(by_time[0], name):
            yield name, by_time[0], by_time[-1]


def _by_state(state: MachineState) -> dict[Caches, list[int]]:
    """The launches in which the cores shared a cache, and those in which not; nothing unless there are both."""
    launches: dict[Caches, list[int]] = {}
    for launch in state.launches:
        launches.setdefault(launch.caches, []).append(launch.launch)
    return launches if launches.keys() >= {"shared", "apart"} else {}


def _two_states(
    state: MachineState, blocks: Iterable[TimedBlock], titles: Mapping[Role, str]
) -> Iterator[str]:
    """One sentence where the cores shared a cache in some launches and in others not, with the steps of either."""
    launches = _by_state(state)
    if not launches:
        return
    steps: dict[tuple[int, Role], list[int]] = {}
    for block in blocks:
        if block.phase == "plain" and block.counted:
            steps.setdefault((block.launch, block.role), []).extend(block.walls_ns)

    def told(kind: Caches) -> str:
        numbers = launches[kind]
        found = []
        for role in ROLES:
            walls = [wall for number in numbers for wall in steps.get((number, role), ())]
            found += [f"{titles[role]} {format_ns(round(median(walls)))}"] if walls else []
        words = "launch" if len(numbers) == 1 else "launches"
        which = f"{words} {spans(number + 1 for number in numbers)}"
        return f"{which} ({', '.join(found)})" if found else which

    yield (
        "the machine was in two states: going by how fast two threads read the same memory, its cores share a cache in"
        f" {told('shared')}, and none in {told('apart')}"
    )


def _machine_reasons(
    state: MachineState | None, blocks: Sequence[TimedBlock], titles: Mapping[Role, str]
) -> tuple[str, ...]:
    """What was disturbed, what the machine does not show, and where it was not the same in all launches."""
    if state is None:
        return ()
    found = [*state.disturbances]
    hidden = [UNSEEN_NAMES[name] for name in JUDGED if UNSEEN_NAMES[name] in state.unseen]
    if hidden:
        found.append(f"this machine does not show {listed(hidden)}: such a disturbance is not noticed")
    for name, fast, slow in _changed_references(state):
        texts = [f"{format_ns(getattr(its, name))} in launch {its.launch + 1}" for its in (fast, slow)]
        found.append(f"the machine changed between launches: {_FIXED_WORK[name]} took {' and '.join(texts)}")
    return (*found, *_two_states(state, blocks, titles))


def _other_memory(
    state: MachineState | None,
    blocks: Sequence[TimedBlock],
    sides: Mapping[Role, Side],
    titles: Mapping[Role, str],
) -> Iterator[str]:
    """One sentence where profiled steps of PyTorch took so many more page faults that its rows are too large.

    A profile of ONNX Runtime goes to fresh memory itself, which is in the calibrated cost of a record: of that engine
    nothing can be said.
    """
    for role, its in (state.faults if state else {}).items():
        if its.plain is None or its.profiled is None or role not in sides or sides[role].engine != "torch":
            continue
        plain = [block for block in blocks if block.role == role and block.phase == "plain" and block.counted]
        walls = [wall for block in plain for wall in block.walls_ns]
        longest = max((wall for b in blocks if b.role == role for wall in b.walls_ns), default=0)
        more = min((its.profiled - its.plain) * its.price_ns, longest)
        if walls and more > OTHER_MEMORY * median(walls):
            yield (
                f"profiled steps of {titles[role]} took {its.profiled:,.0f} page faults and plain ones"
                f" {its.plain:,.0f}: its calls are shown up to {format_ns(round(more))} a step too long"
            )


def plain_blocks(table: LatencyTable | None) -> tuple[PlainBlock, ...]:
    """Every plain block in order of time, those included that do not count."""
    return tuple(
        PlainBlock(
            role=block.role,
            number=block.number,
            launch=block.launch,
            attempt=block.attempt,
            counted=block.counted,
            disturbed=block.disturbed,
            walls_ns=block.walls_ns,
        )
        for block in (table.every_block("plain") if table else ())
    )
