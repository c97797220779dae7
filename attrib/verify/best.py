"""`attrib verify --best`: finding the best configuration of ONNX Runtime, compared with the best single change."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from attrib.errors import AttribError
from attrib.model.capture_options import CaptureOptions
from attrib.model.experiment import ExperimentResult
from attrib.model.manifest import Role
from attrib.units import format_interval
from attrib.verify.bench_like import Measured
from attrib.verify.flags import flags_of
from attrib.verify.measuring import Measuring, with_figures
from attrib.verify.plan import Planned
from attrib.verify.runner import ExperimentRunner
from attrib.verify.stack import Stack, Trial, Win, by_saving, is_gain, stack_wins

BEST = "best"
_SIDE: Role = "onnxruntime"
_ALONE = "no further change saves time on top of it"
_NOTHING = "no single change saves time for certain and keeps the outputs"

Snippet = Callable[[CaptureOptions], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A configuration that was measured against the original; `beside` compares it with the best single change."""

    stack: Stack
    result: ExperimentResult
    beside: str = ""


def wins_of(
    planned: Iterable[Planned], results: Iterable[ExperimentResult], *, accept_changed_numbers: bool = False
) -> list[Win]:
    """Choose the changes that may become parts: of ONNX Runtime, measured, with a certain saving and the same outputs.

    A change that is declared to change the numbers is chosen only where that is accepted; its outputs may then differ.
    """
    by_id = {result.id: result for result in results}
    found = []
    for item in planned:
        result = by_id.get(item.id)
        if item.variant is None or result is None or result.side != _SIDE:
            continue
        if result.saving_ns is None or result.saved_share is None:
            continue
        changes = result.changes_numbers or item.experiment.changes_numbers
        kept = accept_changed_numbers if changes else result.outputs_equal is True
        if kept and result.state == "measured" and result.saving_ns.low > 0:
            win = Win(
                id=item.id,
                title=item.title,
                options=item.variant.options,
                saved=result.saved_share,
                changes_numbers=changes,
            )
            found.append(win)
    return found


class Search:
    """Finds the best configuration from changes that were measured alone."""

    def __init__(self, measuring: Measuring, runner: ExperimentRunner, snippet: Snippet) -> None:
        self._measuring = measuring
        self._runner = runner
        self._snippet = snippet
        self._base = measuring.setup.options

    def run(self, wins: Sequence[Win]) -> ExperimentResult:
        """Stack the changes, measure the stack, and write the result as `best`.

        Raises:
            VerifyInterrupted: Ctrl-C or SIGTERM; the single changes are kept.
            AttribError: The original or the best single change cannot be measured any more.
        """
        try:
            single, left_out = self._confirm(by_saving(wins))
            if single is None:
                reason = f"{_NOTHING}, not even when it is measured again" if wins else _NOTHING
                return self._runner.keep(_row("not_applicable", reason=reason))
            later = [win for win in by_saving(wins) if win.id not in left_out]
            found = self._stack(single, later)
        except KeyboardInterrupt as stop:
            raise self._runner.interruption() from stop
        left = ", ".join(f"{name}: {why}" for name, why in (left_out | found.stack.left_out).items())
        result = replace(
            found.result,
            parts=tuple(win.id for win in found.stack.parts),
            flags=flags_of(self._base, found.stack.options),
            note="; ".join(text for text in (found.beside, left and f"left out: {left}") if text),
            snippet=self._snippet(found.stack.options),
        )
        return self._runner.keep(result)

    def _confirm(self, ordered: Sequence[Win]) -> tuple[Found | None, dict[str, str]]:
        """Find the first change that saves time when it is measured again, and those before it that do not.

        Of many measurements the largest is partly luck, so the change has to show its saving once more.
        """
        left_out: dict[str, str] = {}
        for win in ordered:
            self._runner.progress.phase(f"Best: measuring once more, {win.title}")
            stack = Stack(options=win.options, parts=(win,), left_out={})
            result = self._against_original(stack)
            if is_gain(_trial_of(result, tolerant=win.changes_numbers)):
                return Found(stack=stack, result=result), left_out
            left_out[win.id] = "measured once more, it does not save time for certain"
        return None, left_out

    def _stack(self, single: Found, wins: Sequence[Win]) -> Found:
        """Stack the changes; where all parts together are no faster than the best single change, return that one."""
        number = iter(range(2, len(wins) + 2))

        def attempt(options: CaptureOptions, larger: CaptureOptions, win: Win) -> Trial | str:
            self._runner.progress.phase(f"Best: {next(number)} of {len(wins)}, adding {win.title}")
            return self._trial(options, larger, tolerant=win.changes_numbers)

        stack = stack_wins(self._base, wins, attempt)
        alone = dataclasses.replace(single.stack, left_out=stack.left_out)
        if len(stack.parts) == 1:
            return Found(stack=alone, result=single.result, beside=_ALONE)
        self._runner.progress.phase("Best: all parts beside the best single change")
        ahead = self._trial(single.stack.options, stack.options, tolerant=_changes(stack))
        if isinstance(ahead, str) or not is_gain(ahead):
            beside = (
                f"{' + '.join(win.id for win in stack.parts)} together are not faster, measured side by side"
            )
            return Found(stack=alone, result=single.result, beside=beside)
        self._runner.progress.phase("Best: all parts beside the original")
        whole = self._against_original(stack)
        trial = _trial_of(whole, tolerant=_changes(stack))
        if not is_gain(trial):
            why = "save no time for certain" if trial.outputs_equal else "change the outputs"
            beside = (
                f"all parts together ({', '.join(win.id for win in stack.parts)}) {why} beside the original"
            )
            return Found(stack=alone, result=single.result, beside=beside)
        figure = format_interval(ahead.saving.median, ahead.saving.low, ahead.saving.high, sign=False)
        title = single.stack.parts[0].title
        beside = f"measured side by side it saves {figure} more than the best single change ({title})"
        return Found(stack=stack, result=whole, beside=beside)

    def _trial(self, options: CaptureOptions, larger: CaptureOptions, *, tolerant: bool) -> Trial | str:
        try:
            result = with_figures(_row("measured"), self._compare(options, larger))
        except AttribError as error:
            return f"it does not work with the parts before it: {error}"
        return _trial_of(result, tolerant=tolerant)

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


def _trial_of(result: ExperimentResult, *, tolerant: bool) -> Trial:
    assert result.saving_ns is not None  # noqa: S101  (with_figures sets it)
    return Trial(saving=result.saving_ns, outputs_equal=tolerant or result.outputs_equal is True)
