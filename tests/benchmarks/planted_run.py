"""Measuring what is missing in a site, and reading what is there."""

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import msgspec
from neighbour_loads import planted
from planted_measure import measure_truth
from planted_score import Pair, Score, Truth, score
from planted_site import Site
from plants.plant import Plant

from attrib.api import Analysis, load
from attrib.capture import CaptureOptions, capture
from attrib.errors import AttribError
from attrib.model.manifest import ROLES, Role

STEADY = 0.05
"""Drift of the machine up to which a capture without the plant will do; beyond it another one is made."""

MANIFEST = "manifest.json"


def measure(plants: Sequence[Plant], site: Site, *, again: bool) -> None:
    """Measure what is missing; a plant that cannot be measured is named and left out."""
    known: dict[Path, Analysis] = {}
    for plant in plants:
        try:
            while len(site.unplanted(plant.baseline)) < site.size.captures:
                _measure_unplanted(site, plant.baseline)
            if again:
                site.truth_of(plant).unlink(missing_ok=True)
            _measure_truth(site, plant, parts=1)
            for folder in site.captures_of(plant.name):
                if _capture(site.planted(plant, output=folder), site.neighbor, again=again):
                    _steady(site, plant, folder, known)
            _measure_truth(site, plant, parts=2)
            _settle(site, plant, known, again=again)
        except AttribError as error:
            say(f"{plant.name} was not measured: {error}")


def _settle(site: Site, plant: Plant, known: dict[Path, Analysis], *, again: bool) -> None:
    """Capture a plant that counts with more launches, where those of a user's protocol leave open what it costs."""
    found = _score(plant, site.captures_of(plant.name), site, known)[1]
    if not found.counts or found.settled:
        return
    if not site.unplanted(plant.baseline, longer=True):
        _measure_unplanted(site, plant.baseline, longer=True)
    folder = site.longer_of(plant.name)
    if _capture(site.planted(plant, output=folder, longer=True), site.neighbor, again=again):
        _steady(site, plant, folder, known)
    _measure_truth(site, plant, parts=3)


def _steady(site: Site, plant: Plant, folder: Path, known: dict[Path, Analysis]) -> None:
    """Capture the pair without the plant again if the machine has changed since."""
    pair = pair_of(plant, folder, site, known)
    if pair.unlike or abs(pair.drift - 1) > STEADY:
        _measure_unplanted(site, plant.baseline, longer=folder == site.longer_of(plant.name))


def measure_against_itself(site: Site, count: int) -> None:
    """Capture the engines against themselves, in turns."""
    for number in range(count):
        engine = ROLES[number % len(ROLES)]
        folder = site.root / "aa" / f"{number:02}-{engine}"
        _capture(site.against_itself(engine, folder), site.neighbor, again=False)


def _measure_unplanted(site: Site, baseline: str, *, longer: bool = False) -> None:
    output = site.next_unplanted(baseline, longer=longer)
    options = site.baseline(baseline, output=output, longer=longer)
    _capture(options, site.neighbor, again=False)


def _measure_truth(site: Site, plant: Plant, *, parts: int) -> None:
    """Measure the true cost once more, until it has so many parts."""
    file = site.truth_of(plant)
    file.parent.mkdir(exist_ok=True)
    earlier = truth_of(plant, site) if file.is_file() else None
    if earlier is None or earlier.parts < parts:
        say(f"{plant.name}: true cost")
        _write(file, msgspec.json.encode(measure_truth(plant, site, earlier)))


def truth_of(plant: Plant, site: Site) -> Truth:
    """What is known of the true cost."""
    return msgspec.json.decode(site.truth_of(plant).read_bytes(), type=Truth)


def _capture(options: CaptureOptions, neighbor: str, *, again: bool) -> bool:
    """Capture under another name first, so that an interruption leaves nothing that looks whole; whether there was need."""
    target = options.output
    if target is None or ((target / MANIFEST).is_file() and not again):
        return False
    say(f"{target.name}: capture")
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    with planted(neighbor) if neighbor else nullcontext():
        capture(msgspec.structs.replace(options, output=partial))
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    return True


def _write(file: Path, data: bytes) -> None:
    partial = file.with_suffix(".partial")
    partial.write_bytes(data)
    partial.replace(file)


def say(line: str) -> None:
    """Tell the user on stderr what is being done."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


# Reading


def pairs(plants: Sequence[Plant], site: Site) -> Iterator[tuple[Plant, Pair, Score]]:
    """Every plant that was measured, with its longer capture, or the one whose attributed cost is the median."""
    known: dict[Path, Analysis] = {}
    for plant in plants:
        made = [folder for folder in site.captures_of(plant.name) if (folder / MANIFEST).is_file()]
        longer = site.longer_of(plant.name)
        made = [longer] if (longer / MANIFEST).is_file() else made
        if made and site.truth_of(plant).is_file():
            yield plant, *_score(plant, made, site, known)


def _score(plant: Plant, made: Sequence[Path], site: Site, known: dict[Path, Analysis]) -> tuple[Pair, Score]:
    """The pair whose attributed cost is the median, and its score."""
    truth = truth_of(plant, site)
    found = [pair_of(plant, folder, site, known) for folder in made]
    scores = [score(pair, truth) for pair in found]
    order = sorted(range(len(found)), key=lambda i: scores[i].error)
    middle = order[(len(order) - 1) // 2]
    errors = tuple(scores[i].error for i in order)
    return found[middle], msgspec.structs.replace(scores[middle], errors=errors)


def pair_of(plant: Plant, folder: Path, site: Site, known: dict[Path, Analysis]) -> Pair:
    """The reports of one plant; of the captures without it one in a like state, between which the machine drifted least.

    Args:
        plant: The plant.
        folder: The capture with it.
        site: Where it was measured.
        known: Reports that were read before; those that are read now are added.
    """
    planted = load(folder)
    others = site.unplanted(plant.baseline, longer=folder == site.longer_of(plant.name))
    for other in others:
        if other not in known:
            known[other] = load(other)
    found = [Pair(plant, planted, known[other]) for other in others]
    return min(found, key=lambda pair: (pair.unlike, abs(pair.drift - 1)))


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
