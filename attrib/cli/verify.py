"""`attrib verify`: apply the fixes of the findings, measure each beside the original, and keep the results."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from attrib.cli.capturing import InterruptedCommand
from attrib.cli.command import Command
from attrib.errors import UsageError
from attrib.model.capture_options import OPTIONS
from attrib.wording import listed

_CHOOSING = {
    "findings": "--finding",
    "experiments": "--experiment",
    "everything": "--all",
    "best": "--best",
    "list_only": "--list",
    "ablate": "--ablate",
}
"""Options that choose experiments, by their names."""

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _as_in_profile(name: str, kind: "click.ParamType[Any]", default: str = "as in the capture") -> Decorator:
    """An option of `attrib profile` that says the same of each experiment."""
    (declared,) = (option for option in OPTIONS if option.name == name)
    words = declared.option.help.partition("  [default")[0]
    return click.option(
        declared.flag,
        name,
        type=kind,
        metavar=declared.option.metavar or None,
        help=f"{words}  [default: {default}]",
    )


def _check_alone(options: Mapping[str, Any]) -> None:
    """Check that nothing else is to be measured: another build is no change of the captured one."""
    others = [flag for name, flag in _CHOOSING.items() if options[name]]
    if others:
        raise UsageError(f"--against-ort compares two builds and tries no change: leave out {listed(others)}")


@click.command(
    "verify",
    cls=Command,
    groups={
        "What to try": (
            "findings", "experiments", "everything", "best", "accept_changed_numbers", "ablate", "against_ort",
            "list_only",
        ),
        "Measurement": ("rounds", "launches", "tolerance", "max_time", "iterations", "timeout", "again"),
        "What only you can name of the capture": (
            "model", "sentence_transformer", "onnx", "text", "ort_python", "provider_options", "provider_libraries", "env",
        ),
        "Output": ("as_json", "no_report", "quiet", "verbose"),
    },
    examples=(
        ("attrib verify traces", "The fix of every failed finding."),
        ("attrib verify traces --list", "What could be tried, and what the profile predicts."),
        ("attrib verify traces --best", "Combine what saves time: a command line and a Python script."),
        ("attrib verify traces --against-ort ort122/bin/python", "Another build of ONNX Runtime, node by node."),
        ("attrib verify traces --ablate node_linear_4", "What one part of the graph costs."),
    ),
    quiet="Print the results only: no progress, no notes.",
    verbose=True,
)  # fmt: skip
@click.argument("trace_dir", type=click.Path(path_type=Path))
@click.option(
    "--finding",
    "findings",
    multiple=True,
    metavar="ID",
    help="Run only the experiments for this finding; repeatable.",
)
@click.option(
    "--experiment",
    "experiments",
    multiple=True,
    metavar="ID",
    help="Run this experiment, or one variant of it, even if no finding names it; repeatable.",
)
@click.option("--all", "everything", is_flag=True, help="Run every experiment that applies.")
@click.option(
    "--best",
    is_flag=True,
    help="Run every experiment that keeps the outputs, and combine the ones that save time.",
)
@click.option(
    "--accept-changed-numbers",
    is_flag=True,
    help="With --best: also combine changes of the numbers, such as fp16 and int8.",
)
@click.option(
    "--list",
    "list_only",
    is_flag=True,
    help="List the experiments and their predicted savings; measure nothing.",
)
@click.option(
    "--ablate",
    multiple=True,
    metavar="NODE|REGION",
    help="Remove this from the graph and measure how much time that saves. Takes any name that `attrib explain` knows;"
    " repeatable.",
)
@click.option(
    "--against-ort",
    type=click.Path(path_type=Path),
    metavar="PYTHON",
    help="Measure and profile the ONNX Runtime of this interpreter (another version or package) beside the captured one,"
    " and show what changed node by node.",
)
@_as_in_profile("rounds", click.IntRange(min=2))
@_as_in_profile("launches", click.IntRange(min=1))
@_as_in_profile("tolerance", click.FloatRange(min=0))
@_as_in_profile("max_time", click.FloatRange(min=0), "from the model's speed")
@_as_in_profile("iterations", click.IntRange(min=1))
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="Stop an experiment when an engine does not answer for this long.",
)
@click.option("--again", is_flag=True, help="Measure again, even where there is a result.")
@click.option(
    "--model", metavar="NAME|DIR|file.py:factory", help="The captured model, if it is not built in."
)
@click.option(
    "--sentence-transformer",
    metavar="ID|DIR",
    help="The captured model, if the capture had --sentence-transformer.",
)
@click.option("--onnx", type=click.Path(path_type=Path), help="The ONNX file, if the capture ran one.")
@click.option("--text", multiple=True, help="The sentences of the capture, if it had any; repeatable.")
@click.option(
    "--ort-python",
    type=click.Path(path_type=Path),
    metavar="PYTHON",
    help="The interpreter that runs ONNX Runtime, if the capture used --ort-python.",
)
@click.option(
    "--provider-option",
    "provider_options",
    multiple=True,
    metavar="[PROVIDER:]KEY=VALUE",
    help="A provider option of the capture whose value is a file; repeatable.",
)
@click.option(
    "--provider-library",
    "provider_libraries",
    multiple=True,
    metavar="NAME=PATH",
    help="A provider library of the capture; repeatable.",
)
@click.option(
    "--env",
    multiple=True,
    metavar="NAME=VALUE",
    help="An environment variable of the capture that is no number of a known kind; repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@click.option("--no-report", is_flag=True, help="Do not rewrite report.html and report.json.")
def command(trace_dir: Path, **options: Any) -> None:
    """Apply the fixes of the failed findings in TRACE_DIR, one at a time, and measure how much time each saves.

    Each fix is measured without a profiler, in turn with the original, and its outputs are compared with the original's.
    It is measured until its interval is narrow (see --tolerance; of a large predicted saving, a quarter is enough), in
    several launches of both; what stays too wide is "not settled".
    Results are kept in TRACE_DIR/verify. Ctrl-C loses none of them; run the same command again to continue.
    """
    from attrib.api import load
    from attrib.cli.progress import show_progress
    from attrib.cli.show import show_paths, write_default_reports
    from attrib.cli.verify_output import show_offers, show_results
    from attrib.findings.registry import RULES
    from attrib.verify.baseline import Baseline, Settings
    from attrib.verify.plan import Request, narrow
    from attrib.verify.runner import VerifyInterrupted
    from attrib.verify.verification import Verification

    if options["accept_changed_numbers"] and not options["best"]:
        raise UsageError("--accept-changed-numbers works only with --best")
    against = options["against_ort"]
    if against is not None:
        _check_alone(options)
    request = Request(**{name: options[name] for name in Request.__dataclass_fields__})
    settings = Settings(
        **{name: value for name, value in options.items() if name in Settings.__dataclass_fields__}
    )
    baseline, as_json = Baseline(root=trace_dir, settings=settings), options["as_json"]
    if options["list_only"]:
        offered = narrow(baseline.offers(named=False), request, RULES)
        show_offers(offered, baseline.results, as_json=as_json)
        return
    try:
        with show_progress() as progress, Verification(baseline, progress) as run:
            results = (
                run.perform(request, best=options["best"]) if against is None else (run.against(against),)
            )
    except VerifyInterrupted as stop:
        raise InterruptedCommand(stop.message, hint=stop.hint) from stop
    if not results:
        click.echo(f"attrib: {baseline.why_nothing(request)}", err=True)
    paths: list[Path] = []
    try:
        if results and not options["no_report"]:
            # The reports show the new results.
            paths = write_default_reports(load(trace_dir).document, trace_dir, static=False)
    finally:
        show_results(results, as_json=as_json, root=trace_dir)
    show_paths(() if as_json else paths)
