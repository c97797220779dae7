"""`attrib verify --best`: the best configuration of ONNX Runtime that was found, beside the best single change."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from attrib.capture.options import CaptureOptions
from attrib.errors import AttribError
from attrib.model.estimate import Delta
from attrib.model.experiment import ExperimentResult
from attrib.model.manifest import Role
from attrib.units import format_interval
from attrib.verify.bench_like import Measured
from attrib.verify.flags import flags_of
from attrib.verify.measuring import Measuring, with_figures
from attrib.verify.plan import Planned
from attrib.verify.runner import Runner
from attrib.verify.stack import Stack, Trial, Win, by_saving, is_gain, stacked

BEST = "best"
_SIDE: Role = "onnxruntime"
_NOTHING = "no single change saves time for certain and keeps the outputs"

Snippet = Callable[[CaptureOptions], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A configuration that was measured against the original."""

    options: CaptureOptions
    parts: tuple[Win, ...]
    result: ExperimentResult
    beside: str = ""


def wins_of(
    planned: Iterable[Planned], results: Iterable[ExperimentResult], *, accept_changed_numbers: bool = False
) -> list[Win]:
    """The changes that may become parts: of ONNX Runtime, measured, with a certain saving and the same outputs.

    A change that is declared to change the numbers is one only where that is accepted; its outputs may then differ.
    """
    by_id = {result.id: result for result in results}
    found = []
    for item in planned:
        result = by_id.get(item.id)
        if item.variant is None or result is None or result.saving_ns is None or result.side != _SIDE:
            continue
        changes = result.changes_numbers or item.experiment.changes_numbers
        kept = accept_changed_numbers if changes else result.outputs_equal is True
        if kept and result.state == "measured" and result.saving_ns.low > 0:
            options, saving = item.variant.options, result.saving_ns
            win = Win(id=item.id, title=item.title, options=options, saving=saving, changes_numbers=changes)
            found.append(win)
    return found


class Search:
    """Finds the best configuration from changes that were measured alone."""

    def __init__(self, measuring: Measuring, runner: Runner, snippet: Snippet) -> None:
        self._measuring = measuring
        self._runner = runner
        self._snippet = snippet
        self._base = measuring.setup.options

    def run(self, wins: Sequence[Win]) -> ExperimentResult:
        """Stack, measure, and keep the result as `best`.

        Raises:
            VerifyInterrupted: Ctrl-C or SIGTERM; the single changes are kept.
            AttribError: The original or the best single change cannot be measured any more.
        """
        try:
            result = self._result(wins) if wins else _row("not_applicable", reason=_NOTHING)
        except KeyboardInterrupt as stop:
            raise self._runner.interruption() from stop
        return self._runner.keep(result)

    def _result(self, wins: Sequence[Win]) -> ExperimentResult:
        ordered = by_saving(wins)
        number = iter(range(2, len(ordered) + 2))

        def attempt(options: CaptureOptions, larger: CaptureOptions, win: Win) -> Trial | str:
            self._runner.progress.phase(f"Best, {next(number)} of {len(ordered)}: adding {win.title}")
            return self._trial(options, larger, tolerant=win.changes_numbers)

        stack = stacked(self._base, ordered, attempt)
        single = Stack(options=ordered[0].options, parts=(ordered[0],), left_out=stack.left_out)
        found = self._final(stack, single)
        return replace(
            found.result,
            parts=tuple(win.id for win in found.parts),
            flags=flags_of(self._base, found.options),
            note=_note(found, stack),
            snippet=self._snippet(found.options),
        )

    def _trial(self, options: CaptureOptions, larger: CaptureOptions, *, tolerant: bool) -> Trial | str:
        try:
            result = with_figures(_row("measured"), self._compare(options, larger))
        except AttribError as error:
            return f"it does not work with the parts before it: {error}"
        return Trial(saving=_saving(result), outputs_equal=tolerant or result.outputs_equal is True)

    def _final(self, stack: Stack, single: Stack) -> Found:
        """The stack where it is faster than the best single change, measured side by side; else that change."""
        if len(stack.parts) > 1:
            self._runner.progress.phase("Best: all parts beside the best single change")
            ahead = self._trial(single.options, stack.options, tolerant=_changes(stack))
            if not isinstance(ahead, str) and is_gain(ahead):
                self._runner.progress.phase("Best: all parts beside the original")
                whole = self._against_original(stack)
                if whole.significant and (_changes(stack) or whole.outputs_equal):
                    figure = format_interval(
                        ahead.saving.median, ahead.saving.low, ahead.saving.high, sign=False
                    )
                    title = single.parts[0].title
                    beside = (
                        f"measured side by side it saves {figure} more than the best single change ({title})"
                    )
                    return Found(options=stack.options, parts=stack.parts, result=whole, beside=beside)
        self._runner.progress.phase("Best: the best single change beside the original")
        alone = (
            "no further change saves time on top of it"
            if len(stack.parts) == 1
            else "more changes were not faster"
        )
        return Found(
            options=single.options, parts=single.parts, result=self._against_original(single), beside=alone
        )

    def _against_original(self, stack: Stack) -> ExperimentResult:
        found = self._compare(self._base, stack.options)
        titles = " + ".join(win.title for win in stack.parts)
        return with_figures(_row("measured", title=titles, changes_numbers=_changes(stack)), found)

    def _compare(self, one: CaptureOptions, other: CaptureOptions) -> Measured:
        return self._measuring.compare(one, other, _SIDE)


def _row(state: str, **facts: object) -> ExperimentResult:
    common = {
        "id": BEST,
        "title": "Best configuration",
        "side": _SIDE,
        "unpredicted": "several changes at once",
    }
    return ExperimentResult(**common | facts, state=state)  # type: ignore[arg-type]


def _changes(stack: Stack) -> bool:
    return any(win.changes_numbers for win in stack.parts)


def _saving(result: ExperimentResult) -> Delta:
    assert result.saving_ns is not None  # noqa: S101  (with_figures sets it)
    return result.saving_ns


def _note(found: Found, stack: Stack) -> str:
    left = [f"{name}: {why}" for name, why in stack.left_out.items()]
    return "; ".join(text for text in (found.beside, f"left out: {', '.join(left)}" if left else "") if text)
