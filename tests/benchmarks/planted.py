"""Benchmark of truth: `python tests/benchmarks/planted.py [--plant NAME]... [--out DIR] [--neighbor bursts] [--aa N]`.

Known causes are planted in a BERT (two layers, full width), one at a time. What each costs in truth is the plain
difference between the planted and the unplanted run of the same engine, in the protocol of `attrib verify`: interleaved
blocks of two processes, in three launches before attrib is asked and three after it. Attrib is asked in the protocol that
a user gets: the planted pair and the unplanted pair are captured, and the reports are compared. What is counted:

- True cost: plain step with the plant minus plain step without it, with the interval of attrib's headline. It is above
  the noise where the interval lies above 0, is no wider than half the cost (else no error of 40 % could be told), and the
  cost exceeds 0.5 % of the planted step.
- Where each planted pair is captured several times (`--captures`), everything said of a plant is said of the capture whose
  attributed cost is the median; the worst of all captures stands below the table.
- A plant is void where ONNX Runtime does not execute what it adds: its optimizer took it out.
- Right rows: rows of the ledger whose module is one that the plant touches (or lies inside one), and whose cause is one
  that its time belongs to. Both are fixed in `plants/table.py` before anything is measured.
- Attributed cost: time of the right rows on the planted side in the planted report, minus that of the right rows in the
  unplanted report. The unplanted time is first scaled by the drift of the machine between the two captures: the time of
  the rows of the planted engine that are not right (the same work in both), or, where hardly any are left, the other
  engine's plain step. Where that is more than 5 % in every unplanted capture, another one is made; the one with the
  least drift is taken.
- Error: attributed over true cost, minus 1; each as a share of the planted step that it was measured in.
- What is attributed is settled where its interval is as narrow, and truth and capture met a common state of the machine;
  where it is not, both pairs are captured again with twelve launches instead of a user's three, with three launches more of
  the truth after them, and that capture is what counts. What is not settled even then is neither
  right nor wrong: it has a rank, and no error.
- Right finding: the first failed finding of the planted report, in the report's order, that the table names for the
  plant and that is new or larger than in the unplanted report: one that says the same without the plant names nothing.
  Its figure is its saving, or the share that it explains where it has no saving, beyond that in the unplanted report.
- Rank: its place among the failed findings about the time of the planted engine, ordered by how much their figures grew
  over the unplanted report (scaled by the drift): the finding that the plant made. The raw rank is its place in the
  planted report, which also says what the unplanted one says.
- Innocents: rows that are not right are added up by cause and part of the model (either half of a layer, and what lies
  outside the layers). Each sum's growth on the planted side counts as far as its interval stays away from 0; together
  they are given as a share of the step. The row `profiler overhead`, which blames nobody, is not among them.
- Top-1, top-3 and innocents over all are those of the plants above the noise, errors those of the settled ones.

`--aa N` captures each engine against itself, N captures in all, and counts failed findings with a saving. Everything
that is measured is kept in `--out` and not measured again, so that the command can be stopped and called again;
`--again` measures the named plants anew, `--neighbor` disturbs the captures (not the truth beside them) by one of
`neighbour_loads.py`, `--table` only prints, `--show` says why a plant scores as it does.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from neighbour_loads import LOADS
from planted_run import against_itself, measure, measure_against_itself, pairs, say
from planted_score import cells_of, strays
from planted_site import Site, Size
from planted_table import aa_table, details, overall, table
from plants.plant import Plant
from plants.table import PLANTS

from attrib.errors import AttribError


def main() -> None:
    """Measure, score, and print."""
    given = _arguments()
    try:
        site = _site(given)
        plants = _chosen(given.plant)
        if not given.table:
            measure(plants, site, again=given.again)
            measure_against_itself(site, given.aa)
        sys.stdout.write(_report(site, plants, given))
    except AttribError as error:
        sys.exit(f"{error}" + (f" ({error.hint})" if error.hint else ""))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What attrib says of causes that were planted.")
    parser.add_argument("--plant", action="append", metavar="NAME", help=", ".join(p.name for p in PLANTS))
    parser.add_argument("--out", type=Path, default=Path("planted-results"), metavar="DIR")
    for name, value in msgspec.structs.asdict(Size()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value, metavar=name[0].upper())
    parser.add_argument("--neighbor", default="", choices=["", *LOADS], help="what disturbs the captures")
    parser.add_argument(
        "--aa", type=int, default=0, metavar="N", help="capture the engines against themselves"
    )
    parser.add_argument("--again", action="store_true", help="measure the named plants anew")
    parser.add_argument("--table", action="store_true", help="measure nothing")
    parser.add_argument("--show", action="store_true", help="print where the time of each plant went")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the scores")
    return parser.parse_args()


def _site(given: argparse.Namespace) -> Site:
    if given.table:
        return Site.reopened(given.out, given.neighbor)
    size = Size(**{name: getattr(given, name) for name in Size.__struct_fields__})
    return Site.opened(given.out, size, given.neighbor)


def _chosen(names: Sequence[str] | None) -> list[Plant]:
    known = {plant.name: plant for plant in PLANTS}
    if unknown := sorted(set(names or ()) - set(known)):
        raise AttribError(f"no plant is called {', '.join(unknown)}", hint=f"--plant with {', '.join(known)}")
    return [known[name] for name in names] if names else list(PLANTS)


def _report(site: Site, plants: Sequence[Plant], given: argparse.Namespace) -> str:
    """The tables; the scores go into a file where one is asked for."""
    rows, parts = [], []
    for plant, pair, score in pairs(plants, site):
        rows.append((plant, score))
        if given.show:
            parts.append(details(plant, score, cells_of(pair), strays(pair)))
    parts.append(table(rows))
    if itself := against_itself(site):
        parts.append(aa_table(itself))
    if given.json:
        scores = [score for _, score in rows]
        given.json.write_bytes(msgspec.json.encode({"overall": overall(scores), "plants": scores}))
        say(f"scores: {given.json}")
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
