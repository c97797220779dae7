"""What must hold for any bytes that are given to a trace reader: the oracle of the fuzz tests, of both kinds.

A reader answers with a table or with one AttribError, strict and lenient. Where the bytes are valid JSON, the table's times
are those of an independent sum over `json.loads`.
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import fields
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from attrib.errors import AttribError
from attrib.traces import read_trace
from attrib.traces.inspection.summary import summarize
from attrib.traces.recording.recording import Recording

LIMIT_NS = 1 << 61
"""attrib takes no time beyond 73 years for one."""

Sums = dict[str, tuple[int, int]]
"""By category: how many complete events, and the nanoseconds that they took."""


def check_bytes(data: bytes, folder: Path, *, summary: bool = True) -> Recording | None:
    """Read a file of these bytes, strict and lenient, and check both answers; the strict table.

    `summary` also summarizes the table, which takes far longer than reading a small file.
    """
    path = folder / "trace.json"
    path.write_bytes(data)
    strict, refusal = answer_of(path, lenient=False)
    lenient, _ = answer_of(path, lenient=True)
    if (found := strict if strict is not None else lenient) is not None:
        check_table(found)
        if summary:
            check_summary(found)
    if strict is not None:
        assert lenient is not None, "lenient refuses what strict reads"
        assert lenient.damage is None, lenient.damage
        assert differing(strict, lenient) == []
        check_sums(strict, data)
    elif lenient is not None:
        check_damage(lenient, refusal)
    return strict


def answer_of(path: Path, *, lenient: bool) -> tuple[Recording | None, str]:
    """The table, or the one line that says why there is none."""
    try:
        return read_trace(path, lenient=lenient), ""
    except AttribError as error:
        message = str(error)
    assert message.startswith(str(path)), message
    assert "\n" not in message
    assert len(message) < len(str(path)) + 1000
    return None, message


def check_table(table: Recording) -> None:
    """A table is whole: columns of one length, shapes that can be decoded, figures that can be shown."""
    columns = [getattr(table, field.name) for field in fields(table)]
    lengths = {len(c) for c in columns if hasattr(c, "dtype")} | {len(table.inputs), len(table.outputs)}
    assert lengths == {len(table)}
    for row in range(len(table)):
        table.input_tensors(row)
        table.output_tensors(row)
    assert (table.duration_ns >= 0).all()


def check_summary(table: Recording) -> None:
    """What `attrib inspect` shows of it."""
    found = summarize(table)
    assert found.events == len(table)
    assert found.gpu is None or 0 <= found.gpu.busy_us <= found.gpu.sum_us


def check_damage(table: Recording, refusal: str) -> None:
    """What lenient reading says of a file that strict reading refuses."""
    damage = table.damage
    assert damage is not None, refusal
    assert damage.reason
    assert damage.places >= 1
    assert 0 <= damage.event <= damage.recovered + damage.lost
    assert damage.offset >= 0
    assert min(damage.lost, damage.lost_bytes) >= 0
    assert len(table) <= damage.recovered


def differing(one: Recording, other: Recording) -> list[str]:
    """Names of the fields in which two tables differ."""
    return [f.name for f in fields(one) if not _equal(getattr(one, f.name), getattr(other, f.name))]


def _equal(one: Any, other: Any) -> bool:
    if hasattr(one, "dtype"):
        return bool((one == other).all())
    if hasattr(one, "take"):
        return list(one) == list(other)
    return bool(one == other)


def check_sums(table: Recording, data: bytes) -> None:
    """Conservation: the table's times by category are those that `json` finds in the same bytes."""
    expected = expected_sums(data)
    if expected is not None:
        assert sums_of(table) == expected


def sums_of(table: Recording) -> Sums:
    """Events and nanoseconds of a table by category, summed without numpy."""
    counts: Counter[str] = Counter()
    times: Counter[str] = Counter()
    for code, duration in zip(table.category.tolist(), table.duration_ns.tolist(), strict=True):
        counts[table.text(code)] += 1
        times[table.text(code)] += duration
    return {name: (counts[name], times[name]) for name in counts}


def expected_sums(data: bytes) -> Sums | None:
    """The same from a plain parse; None where the bytes are not JSON, or say what JSON leaves open."""
    try:
        events = events_of(loads(data))
    except (ValueError, RecursionError):
        return None
    if events is None or any(not isinstance(event, dict) or is_open(event) for event in events):
        return None
    counts: Counter[str] = Counter()
    times: Counter[str] = Counter()
    for event in events:
        duration = duration_of(event) if event.get("ph") == "X" else None
        if duration is not None:
            category = event.get("cat")
            name = category.encode("utf-8", "replace").decode() if isinstance(category, str) else ""
            counts[name] += 1
            times[name] += duration
    return {name: (counts[name], times[name]) for name in counts}


def loads(data: bytes) -> Any:
    """Plain JSON; ValueError for duplicate members, NaN and bytes that are no UTF-8, of which a reader may make its own."""
    return json.loads(
        data.decode("utf-8-sig"),
        parse_float=Decimal,
        parse_constant=_refuse,
        object_pairs_hook=_unique,
    )


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a member stands there twice")
    return found


def events_of(value: Any) -> list[Any] | None:
    """The events of a parsed trace; None where it is none."""
    events = value.get("traceEvents") if isinstance(value, dict) else value
    return events if isinstance(events, list) else None


def is_open(event: dict[str, Any]) -> bool:
    """Whether JSON alone does not say what an event counts as: halves of pairs, a category elsewhere, times in strings."""
    args = event.get("args")
    return (
        event.get("ph") in ("B", "E")
        or any(isinstance(event.get(key), str) for key in ("ts", "dur"))
        or (isinstance(args, dict) and "Task Type" in args)
    )


def duration_of(event: dict[str, Any]) -> int | None:
    """Nanoseconds of a complete event; None where its times are none."""
    start, duration = nanoseconds(event.get("ts")), nanoseconds(event.get("dur", 0))
    return None if start is None or duration is None else max(duration, 0)


def nanoseconds(value: Any) -> int | None:
    """Microseconds to nanoseconds, half to even; None for what is no time."""
    if not isinstance(value, int | Decimal) or isinstance(value, bool):
        return None
    try:
        number = (
            Decimal(value) if isinstance(value, Decimal) or value.bit_length() < 200 else Decimal("Infinity")
        )
        if not number.is_finite() or number.adjusted() > 30:
            return None
        if number.adjusted() < -30:
            return 0
        whole = int((number * 1000).to_integral_value(ROUND_HALF_EVEN))
    except InvalidOperation:
        return None
    return whole if abs(whole) < LIMIT_NS else None


def check_file(check: Callable[[Path], object], path: Path) -> None:
    """Any other reader: an answer, or one AttribError of one line."""
    try:
        check(path)
    except AttribError as error:
        assert "\n" not in str(error)  # noqa: PT017 - most inputs give an answer
