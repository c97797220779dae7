"""The figures as Markdown, ready for docs/benchmarks.md."""

import math

from peers import ATTRIB
from traces_figures import Measured, Ratio, Verdict, kept, peak, per_megabyte, ratio, seconds, spread
from traces_measure import Sample


def file_table(measured: Measured) -> str:
    """One file: every reader's time, ratio to attrib, and memory."""
    trace = measured.trace
    how = f", {trace.steps:,} steps, {trace.engine}" if trace.engine else ", public"
    lines = [
        f"### {trace.name}: {trace.size / 1e6:,.0f} MB, {trace.complete:,} complete events{how}",
        "",
        "| reader | time | processor time | times attrib's | peak memory | of the file | runs |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [_row(measured, label) for label in measured.samples]
    return "\n".join([*lines, "", *_notes(measured)]).rstrip() + "\n"


def _row(measured: Measured, label: str) -> str:
    done = kept(measured.samples[label])
    if not done:
        return f"| {label} | {_why_not(measured.samples[label])} | | | | | |"
    middle = seconds(measured, label)
    processor = sorted(sample.processor for sample in done)[len(done) // 2]
    found = None if label == ATTRIB else ratio(measured, label, ATTRIB)
    memory = peak(measured, label)
    cells = (label, f"{middle:.2f} s", f"{processor:.2f} s", _spread(found), f"{memory / 1e6:,.0f} MB",
             f"{memory / measured.trace.size:.2f}x", f"{len(done)}")  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _spread(found: Ratio | None) -> str:
    return "" if found is None else spread(found)


def _why_not(samples: list[Sample | None]) -> str:
    return next((sample.error for sample in samples if sample is not None and sample.error), "not run")


def _notes(measured: Measured) -> list[str]:
    """Readers that found another number of events, and reads that failed beside others that did not."""
    notes = []
    for label, samples in measured.samples.items():
        done = kept(samples)
        counts = {sample.complete for sample in done if sample.complete is not None} - {
            measured.trace.complete
        }
        if counts:
            notes.append(f"{label}: {', '.join(f'{count:,}' for count in sorted(counts))} complete events")
        if done and any(sample is not None and sample.error for sample in samples):
            notes.append(f"{label}: a run ended with: {_why_not(samples)}")
    return notes


def verdict_table(rows: list[Verdict]) -> str:
    """The rows of section 9."""
    lines = [
        "| work | beside | file | measured | in processor time | must | aim | reached |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        sign = ">=" if row.at_least else "<="
        bounds = [_bound(sign, row.must, row.unit), _bound(sign, row.aim, row.unit)]
        processor = "" if row.processor is None else f"{row.processor:.2f}x"
        cells = (row.work, row.beside, row.file, row.shown, processor, *bounds, row.reached)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _bound(sign: str, value: float | None, unit: str) -> str:
    return "" if value is None else f"{sign} {value:g}{unit}"


def growth_table(all_measured: list[Measured]) -> str:
    """Attrib's time and memory per megabyte, from the smallest to the largest recorded file of either kind."""
    lines = [
        "| file | MB | events | time | ms per MB | peak memory | of the file |",
        "|---|---|---|---|---|---|---|",
    ]
    recorded = [m for m in all_measured if not m.trace.public and not math.isnan(seconds(m, ATTRIB))]
    for measured in sorted(recorded, key=lambda m: (m.trace.kind, m.trace.size)):
        trace, memory, took = measured.trace, peak(measured, ATTRIB), seconds(measured, ATTRIB)
        cells = (trace.name, f"{trace.size / 1e6:,.0f}", f"{trace.complete:,}", f"{took:.2f} s",
                 f"{per_megabyte(measured) * 1000:.2f}", f"{memory / 1e6:,.0f} MB",
                 f"{memory / trace.size:.2f}x")  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
