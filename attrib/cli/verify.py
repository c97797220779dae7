"""`attrib verify`: apply the fixes of the findings, measure each beside the original, and write down what it gave."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from attrib.cli.capturing import InterruptedCommand
from attrib.errors import UsageError

if TYPE_CHECKING:
    from attrib.verify.plan import Request


@click.command("verify")
@click.argument("trace_dir", type=click.Path(path_type=Path))
@click.option(
    "--finding", "findings", multiple=True, metavar="ID", help="Only what proves this finding; repeatable."
)
@click.option(
    "--experiment",
    "experiments",
    multiple=True,
    metavar="ID",
    help="This experiment, or one variant of it, whether or not a finding asks for it; repeatable.",
)
@click.option("--all", "everything", is_flag=True, help="Every experiment that applies.")
@click.option("--best", is_flag=True, help="Try all that keeps the outputs, and stack what saves time.")
@click.option(
    "--accept-changed-numbers", is_flag=True, help="With --best: fp16, int8 and the like may be parts."
)
@click.option("--list", "list_only", is_flag=True, help="List the experiments and what they would give.")
@click.option(
    "--ablate",
    multiple=True,
    metavar="NODE|REGION",
    help="Take this out of the graph and measure what it costs; any name that `attrib explain` knows; repeatable.",
)
@click.option("--rounds", type=click.IntRange(min=2), help="Interleaved rounds.  [default: the capture's]")
@click.option("--iterations", type=click.IntRange(min=1), help="Steps in a block.  [default: the capture's]")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="Give an experiment up where an engine says nothing for so long.",
)
@click.option("--again", is_flag=True, help="Measure anew what has a result.")
@click.option(
    "--model", metavar="NAME|DIR|file.py:factory", help="The captured model, where it is not built in."
)
@click.option("--onnx", type=click.Path(path_type=Path), help="The ONNX file, where the capture ran one.")
@click.option("--text", multiple=True, help="The sentences of the capture, where it had some; repeatable.")
@click.option(
    "--ort-python",
    type=click.Path(path_type=Path),
    metavar="PYTHON",
    help="The interpreter that runs ONNX Runtime, where the capture had one.",
)
@click.option(
    "--provider-option",
    "provider_options",
    multiple=True,
    metavar="[PROVIDER:]KEY=VALUE",
    help="A provider option of the capture that names a file; repeatable.",
)
@click.option(
    "--provider-library",
    "provider_libraries",
    multiple=True,
    metavar="NAME=PATH",
    help="A provider library of the capture; repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@click.option("--no-report", is_flag=True, help="Leave report.html and report.json as they are.")
def command(trace_dir: Path, **options: Any) -> None:
    """Apply the fixes of the failed findings of TRACE_DIR, one by one, and measure what each really gives.

    Each is measured in plain blocks that alternate with the original's, and its outputs are compared. The results are kept
    in TRACE_DIR/verify: Ctrl-C loses none, and the same command goes on where it stopped.
    """
    from attrib.verify.runner import VerifyInterrupted

    try:
        _run(trace_dir, options)
    except VerifyInterrupted as stop:
        raise InterruptedCommand(stop.message, hint=stop.hint) from stop


def _run(trace_dir: Path, options: dict[str, Any]) -> None:
    from attrib.cli.progress import show_progress
    from attrib.cli.verify_output import show_offers, show_results
    from attrib.verify.baseline import Settings, Subject
    from attrib.verify.verification import Verification

    request, as_json = _request(options), options["as_json"]
    known = Settings.__dataclass_fields__
    settings = Settings(**{name: value for name, value in options.items() if name in known})
    subject = Subject(root=trace_dir, settings=settings)
    if options["list_only"]:
        show_offers(subject.offers(named=False), subject.results, as_json=as_json)
        return
    with show_progress() as progress, Verification(subject, progress) as run:
        results = run.perform(request, best=options["best"])
    if not results:
        click.echo(f"attrib: {subject.why_nothing(request)}", err=True)
    show_results(results, as_json=as_json, root=trace_dir)
    if results and not options["no_report"]:
        _rebuild_reports(trace_dir, quietly=as_json)


def _request(options: dict[str, Any]) -> "Request":
    from attrib.verify.plan import Request

    if options["accept_changed_numbers"] and not options["best"]:
        raise UsageError("--accept-changed-numbers belongs to --best")
    return Request(**{name: options[name] for name in Request.__dataclass_fields__})


def _rebuild_reports(trace_dir: Path, *, quietly: bool) -> None:
    """The reports show what was measured."""
    from attrib.api import load
    from attrib.cli.show import DEFAULT_REPORTS, write_default_reports

    analysis = load(trace_dir)
    if not quietly:
        write_default_reports(analysis.document, trace_dir, static=False)
        return
    for name in DEFAULT_REPORTS:
        analysis.save(trace_dir / name)
