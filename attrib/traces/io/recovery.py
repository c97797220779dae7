"""Recovers a damaged trace: reading goes on behind each defect at the next whole event, and what was lost is counted."""

import json
import re
from collections.abc import Iterator
from typing import Literal

import msgspec

from attrib.errors import AttribError
from attrib.model.damage import Damage
from attrib.traces.io.envelope import Place
from attrib.traces.io.source import TraceSource
from attrib.traces.io.stream import MOST_MENDED, B, E, EventDecoder, EventSpan, EventStream, mended
from attrib.traces.io.window import BLOCK, LARGEST_MENDED, LARGEST_VALUE, RECORD_AGAIN, Scanned

# What an event, or the end of all events, looks like. The objects within events' arguments have other keys,
# and lists within them are not followed by members of the whole file.
_NEXT = re.compile(
    rb'\{\s{0,64}"(?:ph|cat|name|pid|tid|ts|dur|args|id|bp)"\s{0,16}:'
    rb'|\]\s{0,64},\s{0,64}"(?:traceName|displayTimeUnit|baseTimeNanoseconds|schemaVersion|deviceProperties'
    rb'|distributedInfo)"\s{0,16}:'
)
_BEGIN = re.compile(rb'\{\s{0,64}"(?:ph|cat)"')
_EVENTS_BEGIN = re.compile(rb'"traceEvents"\s{0,64}:\s{0,64}\[')
_LAST_LINE = re.compile(rb"\n\]\s*\Z")
_KEPT = 256
"""Bytes kept when the window moves on: the beginning of an event may lie across its end."""

WORK = 1 << 26
"""Bytes that may be scanned in vain, besides `WORK_TIMES` those of the file: damage that was made to hurt has more."""

WORK_TIMES = 64
_DEEP = 1 << 16
"""Charged for what is nested too deeply: where the scanner stopped is not known."""

SHORTEST_REACH = 1 << 18
MOST_MISLAID = 200
"""Times that the layout helps no further, after which it is no longer asked: each time costs a look at a block."""

MOST_PLACES = 100_000
"""Damaged places of one file; with more, what is left is no trace."""


class _Phase(msgspec.Struct):
    ph: str


_phase = msgspec.json.Decoder(_Phase).decode


class LenientStream(EventStream):
    """Like a strict stream, but a defect costs no more than the events in which it lies."""

    def __init__(self, source: TraceSource, wanted: frozenset[str] = frozenset()) -> None:
        self._found: Damage | None = None
        self._pieced: Damage | None = None
        self._resumed = False
        self._work = 0
        self._mislaid = 0
        self._mislaid_at = -1
        super().__init__(source, wanted)

    def blocks(self, decoder: EventDecoder[B, E]) -> Iterator[B]:
        """Every whole event of the file, in order; `damage` says afterward what is missing.

        Raises:
            AttribError: Nothing can be recovered.
        """
        yield from super().blocks(decoder)
        self._found = self._found or self._pieced
        if self._found is None:
            return
        self.damage = msgspec.structs.replace(self._found, recovered=self.count)
        if not self.count:
            where = f"byte {self.damage.offset:,}: {self.damage.reason}"
            raise AttribError(f"{self.name}: nothing can be recovered: {where}", hint=RECORD_AGAIN)

    def _open(self) -> Literal["object", "array"]:
        container = super()._open()
        window = self._window
        start = window.at - 1
        if container == "array" or not _NEXT.match(window.data, start):
            return container
        found = window.value(start)
        if found.end < 0 or not self._is_event(start, found.end):
            return container
        window.at = start  # the file begins with an event
        self._note("the opening [ is missing", self.position)
        return "array"

    def _note(self, reason: str, offset: int, *, lost: int = 0, cut: bool = False) -> None:
        """Remember a defect: nothing was used from `offset` up to where the stream is now."""
        self._count(self._damage(reason, offset, lost=lost, lost_bytes=self.position - offset, cut=cut))

    def _count(self, damage: Damage) -> None:
        first = self._found
        if first is not None and first.places >= MOST_PLACES:
            raise AttribError(f"{self.name}: damaged at more than {MOST_PLACES:,} places", hint=RECORD_AGAIN)
        self._found = damage if first is None else msgspec.structs.replace(
            first,
            lost=first.lost + damage.lost,
            lost_bytes=first.lost_bytes + damage.lost_bytes,
            places=first.places + damage.places,
            cut=first.cut or damage.cut,
        )  # fmt: skip

    def _report_defect(self, reason: str, place: Place) -> None:
        if place == "between":
            self._resume(reason, least=0)
            self._resumed = False
        elif place == "behind":
            if not (self._found and reason == self._source.problem):
                self._pass_rest(reason)
        elif not (self._found and self._found.cut):
            self._note(self._with_problem(reason), self.position, cut=True)

    def _with_problem(self, reason: str) -> str:
        problem = self._source.problem
        return f"{reason}: {problem}" if problem and problem not in reason else reason

    def _pass_rest(self, reason: str) -> None:
        """Pass over the rest of the file."""
        window, offset = self._window, self.position
        window.at = len(window.data)
        while not window.ended:
            window.fill(BLOCK)
            window.at = len(window.data)
        self._note(self._with_problem(reason), offset)

    def _skip_members(self, reason: str) -> bool:
        if hasattr(self, "_in_events"):  # else the events are still to come
            self._pass_rest(reason)
            return False
        window, offset = self._window, self.position
        while not (found := _EVENTS_BEGIN.search(window.data, window.at)):
            if window.ended:
                raise AttribError(
                    f"{self.name}: nothing can be recovered: byte {offset:,}: {reason}", hint=RECORD_AGAIN
                )
            window.at = max(len(window.data) - _KEPT, window.at)
            window.fill(BLOCK)
        window.at = found.end()
        self._note(reason, offset)
        return True

    def _pass_comma(self) -> None:
        if not self._resumed:
            super()._pass_comma()
        self._resumed = False

    def _batch_of_none(self, decoder: EventDecoder[B, E], reason: str) -> B:
        window = self._window
        if window.held >= window.reach:
            # An event that a lost bracket leaves open takes in all that follow: look less far for the next one's end.
            window.reach = max(window.reach // 4, SHORTEST_REACH)
        self._resume(reason, least=1)
        return decoder.batch([])

    def _rescue_all(self, decoder: EventDecoder[B, E], spans: list[EventSpan]) -> tuple[B, int]:
        events: list[E] = []
        for span in spans:
            event = self._rescue(decoder, span)
            if not isinstance(event, ValueError):
                events.append(event)
            elif self._window.value(span.start).end == span.end:
                # One whole JSON value that is no event.
                self._count(
                    self._damage(
                        f"it cannot be read: {event}",
                        self._offset(span),
                        event=self.count + len(events),
                        lost=1,
                        lost_bytes=span.end - span.start,
                    )
                )
            else:
                self._mislaid += 1
                self._mislaid_at = self._offset(span)
                # Read otherwise, these bytes may give every event; a strict reader refuses them all the same.
                self._pieced = self._pieced or self._damage(
                    f"it cannot be read: {event}", self._mislaid_at, event=self.count + len(events)
                )
                self._resumed = True
                return decoder.batch(events), span.start
        return decoder.batch(events), spans[-1].end

    def _offset(self, span: EventSpan) -> int:
        return self.position + span.start - self._window.at

    def _damage(
        self,
        reason: str,
        offset: int,
        *,
        event: int | None = None,
        lost: int = 0,
        lost_bytes: int = 0,
        cut: bool = False,
    ) -> Damage:
        return Damage(
            file=self.name,
            reason=reason,
            offset=offset,
            event=self.count if event is None else event,
            packed=bool(self._source.packing),
            recovered=0,
            lost=lost,
            lost_bytes=lost_bytes,
            cut=cut,
        )

    def _spans_by_layout(self, decoder: EventDecoder[B, E]) -> list[EventSpan]:
        if self._mislaid > MOST_MISLAID or self.position == self._mislaid_at:
            return []
        found = super()._spans_by_layout(decoder)
        self._mislaid += not found
        return found

    def _resume(self, reason: str, *, least: int) -> None:
        """Move to the next whole event, or to the end of the events, or of the file, and note what was passed over."""
        window, offset, lost = self._window, self.position, 0
        # Events that begin within what is passed over are lost: found by the file's own separator, where it tells.
        opening = self._separator.rpartition(b"{")[2]
        begin = re.compile(rb"\{" + re.escape(opening)) if opening.strip(b' \t\r\n"') else _BEGIN
        place = window.at + 1
        while True:
            place, found = self._next_place(place)
            beginnings = begin.finditer(window.data, window.at, place + _KEPT)
            lost += sum(match.start() < place for match in beginnings)
            window.at = place
            if found or window.ended:
                break
            window.fill(min(max(4 * window.held, BLOCK), window.reach + 1))
            place = window.at
        self._resumed = True
        if not found and (last := _LAST_LINE.search(window.data, max(len(window.data) - _KEPT, 0))):
            found, window.at = True, last.start() + 1
        reason = reason if found else self._with_problem(reason)
        self._note(reason, offset, lost=max(lost, least), cut=not found)

    def _next_place(self, place: int) -> tuple[int, bool]:
        """The next place where an event begins, and True; or from where more of the file is needed to know, and False."""
        window = self._window
        again = 0
        while found := _NEXT.search(window.data, place):
            start = found.start()
            if found[0].startswith(b"]"):
                return start, True
            scanned = window.value(start)
            if scanned.open and not window.ended and len(window.data) - start < window.reach:
                return start, False
            if scanned.end >= 0 and self._is_event(start, scanned.end):
                return start, True
            mend = scanned.end < 0 and again < MOST_MENDED
            if mend and (data := mended(window.data, scanned.stop, members=False)):
                window.data, again, place = data, again + 1, start
                continue
            place = self._place_behind(start, scanned)
        rest = len(window.data) if window.ended else max(len(window.data) - _KEPT, place, window.at)
        return min(rest, len(window.data)), False

    def _place_behind(self, start: int, scanned: Scanned) -> int:
        """Where to look after something that is no event: right behind its start, unless too much was scanned in vain."""
        window = self._window
        stop = len(window.data) if scanned.open else max(scanned.stop, scanned.end)
        self._work += max(stop - start, _DEEP if stop <= start else 0)
        if self._work < WORK_TIMES * self.position + WORK:
            return start + 1
        return max(stop, min(start + _DEEP, len(window.data)))

    def _is_event(self, start: int, end: int) -> bool:
        """Whether a JSON object has a phase and is not itself inside another."""
        window = self._window
        follows = window.after_space(end)
        if window.data[follows : follows + 1] in (b"}", b":") or end - start > LARGEST_VALUE:
            return False
        event = window.data[start:end]
        try:
            _phase(event)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            if len(event) > LARGEST_MENDED:
                return False
            try:
                fields = json.loads(event.decode("utf-8", "replace"), strict=False, parse_int=str)
            except (ValueError, RecursionError):
                return False
            return isinstance(fields, dict) and isinstance(fields.get("ph"), str)
        return True
