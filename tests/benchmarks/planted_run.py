"""Measuring what is missing in a site, and reading what is there."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from planted_measure import measure_truth
from planted_score import Pair, Score, Truth, score
from planted_site import Site
from plants.plant import Plant

from attrib.api import Analysis, load
from attrib.capture import CaptureOptions, capture
from attrib.errors import AttribError
from attrib.model.manifest import ROLES, Role

PLANTS_PER_BASELINE = 6
"""A pair without a plant is captured again before every so many plants, because the machine drifts."""

MANIFEST = "manifest.json"


def measure(plants: Sequence[Plant], site: Site, *, again: bool) -> None:
    """Measure what is missing; a plant that cannot be measured is named and left out."""
    for number, plant in enumerate(plants):
        try:
            _measure_unplanted(site, plant.baseline, number // PLANTS_PER_BASELINE)
            _measure_truth(site, plant, again=again)
            _capture(site.planted(plant, output=site.capture_of(plant.name)), again=again)
        except AttribError as error:
            say(f"{plant.name} was not measured: {error}")


def measure_against_itself(site: Site, count: int) -> None:
    """Capture the engines against themselves, in turns."""
    for number in range(count):
        engine = ROLES[number % len(ROLES)]
        _capture(site.against_itself(engine, site.root / "aa" / f"{number:02}-{engine}"), again=False)


def _measure_unplanted(site: Site, baseline: str, block: int) -> None:
    _capture(site.baseline(baseline, output=site.capture_of(f"unplanted-{baseline}-{block:02}")), again=False)


def _measure_truth(site: Site, plant: Plant, *, again: bool) -> None:
    file = site.truth_of(plant)
    if again or not file.is_file():
        say(f"{plant.name}: true cost")
        file.parent.mkdir(exist_ok=True)
        _write(file, msgspec.json.encode(measure_truth(plant, site)))


def _capture(options: CaptureOptions, *, again: bool) -> None:
    """Capture under another name first, so that an interruption leaves nothing that looks whole."""
    target = options.output
    if target is None or ((target / MANIFEST).is_file() and not again):
        return
    say(f"{target.name}: capture")
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    capture(msgspec.structs.replace(options, output=partial))
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)


def _write(file: Path, data: bytes) -> None:
    partial = file.with_suffix(".partial")
    partial.write_bytes(data)
    partial.replace(file)


def say(line: str) -> None:
    """Tell the user on stderr what is being done."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


# Reading


def pairs(plants: Sequence[Plant], site: Site) -> list[Pair]:
    """The planted and the unplanted report of every plant that was measured."""
    known: dict[Path, Analysis] = {}
    found = []
    for plant in plants:
        planted = site.capture_of(plant.name)
        if site.truth_of(plant).is_file() and (planted / MANIFEST).is_file():
            nearest = _nearest(planted, site.unplanted(plant.baseline))
            unplanted = known.setdefault(nearest, known.get(nearest) or load(nearest))
            found.append(Pair(plant, load(planted), unplanted))
    return found


def scored(pair: Pair, site: Site) -> Score:
    """The score of one plant."""
    return score(pair, msgspec.json.decode(site.truth_of(pair.plant).read_bytes(), type=Truth))


def _nearest(capture_dir: Path, others: Sequence[Path]) -> Path:
    """The capture that was made nearest in time."""
    when = (capture_dir / MANIFEST).stat().st_mtime
    return min(others, key=lambda other: abs((other / MANIFEST).stat().st_mtime - when))


def against_itself(site: Site) -> list[tuple[Role, list[float], list[str]]]:
    """A/A captures by engine: by which share of the step the headline is off, and failed findings with a saving."""
    rows: list[tuple[Role, list[float], list[str]]] = []
    for engine in ROLES:
        documents = [load(folder).document for folder in sorted(site.root.glob(f"aa/*-{engine}"))]
        shares = [d.latency.delta_ns.median / d.latency.torch_ns.median for d in documents]
        false = [f.id for d in documents for f in d.findings if f.state == "failed" and f.saving_ns]
        if documents:
            rows.append((engine, shares, false))
    return rows
