"""`attrib profile`: run both engines, write the trace directory, and explain the difference."""

import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from attrib.errors import AttribError, InconclusiveError
from attrib.zoo.architectures import ARCHITECTURES
from attrib.zoo.examples import EXAMPLE_BATCH, EXAMPLES
from attrib.zoo.tasks import TASKS

if TYPE_CHECKING:
    from attrib.model.document import Document


@click.command("profile")
@click.option(
    "--model",
    metavar="NAME|DIR|module:factory|file.py:factory",
    help=f"What to run: {', '.join(ARCHITECTURES)}; a small example: {', '.join(EXAMPLES)}; a Hugging Face"
    " directory or hub id; or a factory that returns (module, example_inputs).",
)
@click.option("--onnx", type=click.Path(path_type=Path), help="Run this ONNX file instead of exporting.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Trace directory to write.")
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="TRACE_DIR",
    help="Go on with an interrupted capture: what it has measured stays, what it was asked for holds. A model that"
    " is not built in is named again with --model.",
)
@click.option(
    "--batch-size", type=int, help=f"Rows of the inputs.  [default: 1; {EXAMPLE_BATCH} for a small example]"
)
@click.option("--seq-len", type=int, help="Tokens in a row of a text model.  [default: 128]")
@click.option("--layers", type=int, help="Build only so many layers, or stages of a convolutional network.")
@click.option("--padding", type=float, default=0.0, help="Share of masked tokens, e.g. 0.3.")
@click.option("--text", multiple=True, help="A real sentence for the tokenizer; repeatable.")
@click.option("--task", type=click.Choice([t for t in TASKS if t]), default=None, help="Head on the encoder.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option(
    "--provider",
    "providers",
    multiple=True,
    metavar="NAME",
    help="Execution provider, e.g. openvino or OpenVINOExecutionProvider; repeatable, in order.",
)
@click.option(
    "--provider-option",
    "provider_options",
    multiple=True,
    metavar="[PROVIDER:]KEY=VALUE",
    help="Give an option to an execution provider (the first one, unless it is named); repeatable.",
)
@click.option(
    "--provider-library",
    "provider_libraries",
    multiple=True,
    metavar="NAME=PATH",
    help="Load a library that brings an execution provider (ONNX Runtime 1.22 or later); repeatable.",
)
@click.option(
    "--ort-python",
    type=click.Path(path_type=Path),
    metavar="PYTHON",
    help="Run ONNX Runtime under this interpreter, e.g. of an environment with onnxruntime-openvino.",
)
@click.option(
    "--precision", type=click.Choice(["fp32", "fp16", "bf16", "int8"]), default="fp32", show_default=True
)
@click.option("--exporter", type=click.Choice(["dynamo", "torchscript"]), default="dynamo", show_default=True)
@click.option("--opset", type=int, help="Opset to export.  [default: the exporter's choice]")
@click.option("--dynamic-shapes", is_flag=True, help="Export with symbolic batch and sequence dimensions.")
@click.option(
    "--optimize",
    multiple=True,
    metavar="NAME",
    help="Rewrite the graph before ONNX Runtime opens it; repeatable, in order: ort-transformers, optimum-o1 to"
    " optimum-o4, onnxscript, onnxslim, float16, int8-dynamic, int8-qdq, int8-qoperator; or a single surgery:"
    " drop-nan-guard, drop-inverse-pairs, merge-duplicates, double-to-float, einsum-to-matmul, drop-unused-outputs,"
    " prune-heads.",
)
@click.option(
    "--save-models",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Keep the graphs with their weights in DIR.",
)
@click.option(
    "--opt-level",
    type=click.Choice(["disabled", "basic", "extended", "all"]),
    default="all",
    show_default=True,
    help="ONNX Runtime's graph optimization.",
)
@click.option(
    "--session-option",
    "session_options",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set an option of ONNX Runtime's session; repeatable. An attribute, e.g. execution_mode=parallel, or a"
    " configuration entry, e.g. session.intra_op.allow_spinning=0 (entries are passed on unchecked).",
)
@click.option(
    "--disable-optimizer",
    "disabled_optimizers",
    multiple=True,
    metavar="NAME",
    help="Leave out one of ONNX Runtime's graph optimizers, e.g. MatMulAddFusion; repeatable.",
)
@click.option("--attention", type=click.Choice(["sdpa", "eager"]), default="sdpa", show_default=True)
@click.option(
    "--torch-mode", type=click.Choice(["eager", "compile", "jit"]), default="eager", show_default=True
)
@click.option(
    "--autocast", is_flag=True, help="Keep fp32 weights; run PyTorch under autocast to --precision."
)
@click.option("--threads", type=int, help="Threads of either engine.  [default: the usable cores]")
@click.option("--iterations", type=int, help="Steps in a plain block.  [default: 5, more for fast models]")
@click.option("--warmup", type=int, help="Warm-up steps.  [default: until the blocks agree]")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--timeout",
    type=float,
    metavar="SECONDS",
    help="The longest that an engine may stay silent in one command (load, export, create a session, run a block)"
    " before it counts as hung and the other one goes on; 0 for no limit.  [default: 3600]",
)
@click.option(
    "--io-binding",
    is_flag=True,
    help="Bind ONNX Runtime's inputs and outputs once: on the GPU with --device cuda, instead of numpy arrays.",
)
@click.option(
    "--cuda-graph",
    is_flag=True,
    help="Let ONNX Runtime capture a CUDA graph and replay it in the timed runs (binds inputs and outputs).",
)
@click.option("--against-itself", type=click.Choice(["torch", "onnxruntime"]), hidden=True)
@click.option("--force", is_flag=True, help="Write into an output directory that is not empty.")
@click.option("--no-report", is_flag=True, help="Write the trace directory only.")
@click.option("--strict", is_flag=True, help="Exit with 4 where the measurement cannot answer the question.")
@click.pass_context
def command(
    context: click.Context, /, no_report: bool, strict: bool, resume: Path | None, **options: Any
) -> None:
    """Run a model in PyTorch and in ONNX Runtime and report what makes the difference."""
    from attrib.cli.capturing import captured, check_resume
    from attrib.cli.progress import show_progress

    check_resume(context, resume, options)
    with show_progress() as progress:
        directory, failed = captured(resume, options, progress)
        if not no_report:
            progress.phase("report")
            with _stopped_in_good_order():
                document = _explained(directory, failed)
    if no_report:
        click.echo(os.fspath(directory))
    elif document is not None:
        with _stopped_in_good_order():
            _show(document, directory)
    if failed is not None:
        raise failed
    if strict and not no_report:
        _check_conclusive(document)


def _stopped_in_good_order() -> AbstractContextManager[object]:
    """SIGTERM ends a report like Ctrl-C does: no half-written file stays."""
    from attrib.capture.storage.interrupts import Interrupts

    return Interrupts()


def _explained(directory: Path, failed: AttribError | None) -> "Document | None":
    """The report as data; where one engine failed, its absence must not hide why."""
    from attrib.api import load

    try:
        return load(directory).document
    except AttribError:
        if failed is None:
            raise
        return None


def _show(document: "Document", directory: Path) -> None:
    from attrib.cli.show import show_document, write_default_reports

    show_document(document)
    write_default_reports(document, directory, static=False)


def _check_conclusive(document: "Document | None") -> None:
    """Raise where the figures cannot say which engine is faster, or should not be compared."""
    if document is None or document.latency.delta_ns is None:
        raise InconclusiveError("only one engine was measured")
    failed = [check.check for check in document.comparability if check.state == "failed"]
    if failed:
        raise InconclusiveError(
            f"the comparison is not fair: {', '.join(failed)}", hint="see the report's checks"
        )
    if not document.latency.significant:
        raise InconclusiveError(
            "the difference is within the noise of the measurement",
            hint="close other programs, or raise --iterations",
        )
