"""The file around the events of a trace: its beginning, and the members of its top-level object."""

from typing import Literal, NoReturn

from attrib.errors import AttribError
from attrib.model.damage import Damage
from attrib.traces.io.source import TraceSource
from attrib.traces.io.window import BLOCK, OR_LENIENT, RECORD_AGAIN, Scanned, Window

MOST_MEMBERS = 100_000
"""Members of the top-level object besides the events; traces have some twenty."""

_OTHERS = {b'"rocprofiler-sdk-tool"': "written by rocprofv3, which knows the kernels and no PyTorch operator"}
"""Files of other profilers, by a member of their top-level object."""
_BY_TORCH = (
    "record with torch.profiler and ProfilerActivity.CUDA: on ROCm too, its trace holds operators and kernels"
)

Place = Literal["between", "cut", "behind"]
"""A defect between two events, in place of the rest of them, or behind them all."""


class Envelope:
    """A file that was opened at its first event. Every defect is an AttribError with the event's number and the byte.

    Attributes:
        container: Whether the file is an object that holds the events or the array itself.
        facts: Raw JSON of the wanted top-level members met so far.
        count: Events met so far, of every phase.
        damage: What could not be read, once all is read; None from a strict reader.
    """

    def __init__(self, source: TraceSource, wanted: frozenset[str] = frozenset()) -> None:
        self.damage: Damage | None = None
        self.facts: dict[str, str] = {}
        self.count = 0
        self._source = source
        self._window = Window(source)
        self._wanted = wanted
        self._members = 0
        self.container: Literal["object", "array"] = self._open()
        self._in_events = self.container == "array" or self._walk_members()
        if not self._in_events:
            raise AttribError(
                f"{self.name}: a JSON object without traceEvents is not a trace",
                hint="give the file that torch.profiler or ONNX Runtime's profiling wrote",
            )

    @property
    def name(self) -> str:
        """The file, for messages."""
        return self._source.name

    @property
    def position(self) -> int:
        """Bytes consumed so far, after unpacking."""
        return self._window.position

    @property
    def source(self) -> TraceSource:
        """The file."""
        return self._source

    def _open(self) -> Literal["object", "array"]:
        window = self._window
        window.fill(BLOCK)
        if window.data.startswith(b"\xef\xbb\xbf"):
            window.at += 3
        first = window.peek()
        if first not in (b"{", b"["):
            problem = self._source.problem or (
                "not a trace: JSON begins with { or [, this file does not"
                f" ({f'0x{first.hex()}' if first else 'nothing'} at byte {self.position:,})"
            )
            hint = "attrib reads Kineto traces and ONNX Runtime profiles, plain, gzip or zstd"
            raise AttribError(f"{self.name}: {problem}", hint=hint)
        window.at += 1
        return "object" if first == b"{" else "array"

    def _walk_members(self) -> bool:
        """Read past the members of the top-level object up to the events; False at the object's end."""
        window = self._window
        if window.peek() == b",":
            window.at += 1
        while (following := window.peek()) != b"}":
            if not following:
                return self._skip_members("the file ends without its closing }")
            found = self._pass_member()
            if found is None:
                return True
            if found:
                return self._skip_members(found)
        window.at += 1
        return False

    def _pass_member(self) -> str | None:
        """Read past one member, and keep its value if it is wanted.

        Returns:
            What is wrong with it, or an empty string; None where the events begin in place of its value.
        """
        window = self._window
        self._members += 1
        if self._members > MOST_MEMBERS:
            return f"more than {MOST_MEMBERS:,} members beside the events"
        key = self._value()
        if key.end < 0:
            return self._problem_with(key)
        name = window.data[window.at : key.end]
        if other := _OTHERS.get(name):
            raise AttribError(f"{self.name}: {other}", hint=_BY_TORCH)
        window.at = key.end
        if window.peek() != b":":
            return "expected a colon"
        window.at += 1
        if name == b'"traceEvents"' and window.peek() == b"[":
            window.at += 1
            return None
        window.peek()
        found = self._value()
        if found.end < 0:
            return self._problem_with(found)
        if (wanted := name[1:-1].decode("latin-1")) in self._wanted:
            self.facts[wanted] = window.data[window.at : found.end].decode("latin-1")
        window.at = found.end
        following = window.peek()
        window.at += following == b","
        problem = "expected , or }" if following else "the file ends without its closing }"
        return "" if following in (b",", b"}") else problem

    def _value(self) -> Scanned:
        """The JSON value here, whatever its size; at the end of what is held only if the file ends there too."""
        window = self._window
        while True:
            found = window.value(window.at)
            unfinished = found.open if found.end < 0 else found.end == len(window.data)
            if not unfinished or not self._grow():
                return found

    def _grow(self) -> bool:
        """Hold four times as much of the file, because what is held ends in the middle of a value."""
        window = self._window
        if window.ended or window.held >= window.reach:
            return False
        window.fill(min(max(4 * window.held, BLOCK), window.reach + 1))
        return True

    def _problem_with(self, found: Scanned) -> str:
        """What is wrong with the value here."""
        window = self._window
        if not found.open:
            return f"{found.problem} at byte {self.position + found.stop - window.at:,}"
        if not window.ended:
            return f"it takes more than {window.reach >> 10:,} KiB"
        end = self._source.offset
        if self._source.problem:
            return f"{self._source.problem} after {end:,} unpacked bytes"
        return f"the file ends at byte {end:,} inside it"

    def _what_follows(self) -> str:
        another = self._window.peek() in (b"[", b"{")
        more = ": another trace begins, several files were joined" if another else ""
        return f"something follows the end of the trace{more}"

    @property
    def _unpacked(self) -> str:
        return " after unpacking" if self._source.packing else ""

    def _skip_members(self, reason: str) -> bool:
        """Refuse a file whose members cannot be read on; a lenient stream says whether the events begin nevertheless."""
        self._refuse(reason)

    def _report_defect(self, reason: str, place: Place) -> None:  # noqa: ARG002 - for the lenient one
        """Refuse a file with a defect between or behind its events; a lenient stream notes it and goes on."""
        self._refuse(reason)

    def _refuse(self, reason: str) -> NoReturn:
        where = f"event {self.count:,}, byte {self.position:,}{self._unpacked}"
        problem = self._source.problem
        if problem and self._window.ended and problem not in reason:
            reason = f"{reason} ({problem})"
        raise AttribError(
            f"{self.name}: cut short or not valid JSON at {where}: {reason}",
            hint=f"{RECORD_AGAIN}; {OR_LENIENT}",
        )
