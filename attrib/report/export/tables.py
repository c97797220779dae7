"""Ledger, nodes and calls as tables: Parquet for programs, CSV for spreadsheets."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrib.errors import AttribError
from attrib.model.document import Document
from attrib.model.provenance import RegionTrail
from attrib.report.files import atomic_write
from attrib.report.view.text import make_visible

if TYPE_CHECKING:
    import pyarrow as pa

_FORMULA = ("=", "+", "-", "@")
"""What a spreadsheet takes for the beginning of a formula (OWASP, "CSV Injection")."""

Table = list[dict[str, Any]]


def tables_of(document: Document, trails: Sequence[RegionTrail]) -> dict[str, Table]:
    """The tables by name; durations in nanoseconds.

    Args:
        document: The report.
        trails: What is behind each region, whole; the document's own have their long lists cut.
    """
    return {
        "ledger": [
            {
                "id": row.id, "region": row.region, "module": row.module, "cause": row.cause,
                "torch_ns": row.torch_ns, "onnxruntime_ns": row.onnxruntime_ns, "delta_ns": row.delta_ns,
                "low_ns": row.low_ns, "high_ns": row.high_ns, "torch_calls": row.torch_calls,
                "torch_ops": row.torch_ops, "onnx_nodes": row.onnx_nodes, "onnx_ops": row.onnx_ops,
                "providers": row.providers, "shapes": row.shapes, "match_method": row.match.method,
                "match_confidence": row.match.confidence,
            }
            for row in document.ledger
        ],
        "nodes": [
            {
                "id": run.id, "op": run.op, "provider": run.provider, "region": trail.id, "module": trail.module,
                "mean_ns": run.ns, "inputs": run.inputs, "outputs": run.outputs,
            }
            for trail in trails
            for run in trail.ran
        ],
        "calls": [
            {
                "id": call.id, "op": call.op, "region": trail.id, "module": call.module, "mean_ns": call.ns,
                "inputs": call.inputs,
            }
            for trail in trails
            for call in trail.calls
        ],
    }  # fmt: skip


def write_tables(tables: Mapping[str, Table], folder: Path, format_: str) -> list[Path]:
    """Write one file a table, `ledger.parquet` or `ledger.csv` and so on, into a folder that is made if it is missing.

    Raises:
        AttribError: The folder or a file cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AttribError(
            f"{folder}: cannot be made: {error.strerror}", hint="name another folder"
        ) from error
    pack = {"parquet": _parquet, "csv": _csv}[format_]
    return [atomic_write(folder / f"{name}.{format_}", pack(rows)) for name, rows in tables.items()]


def _parquet(rows: Table) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(_arrow(rows), sink)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _csv(rows: Table) -> bytes:
    import pyarrow as pa
    from pyarrow import csv

    sink = pa.BufferOutputStream()
    csv.write_csv(_arrow([dict(_flat(row)) for row in rows]), sink)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _arrow(rows: Table) -> "pa.Table":
    import pyarrow as pa

    return pa.Table.from_pylist([{name: _encodable(value) for name, value in row.items()} for row in rows])


def _flat(row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Lists as one text, each text visible and on one line, and none that a spreadsheet would compute."""
    for name, value in row.items():
        text = "; ".join(value) if isinstance(value, tuple) else value
        if isinstance(text, str):
            text = make_visible(text)
            text = f"'{text}" if text.startswith(_FORMULA) else text
        yield name, text


def _encodable(value: Any) -> Any:
    """Texts without lone surrogates, for which there are no bytes."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, tuple):
        return [_encodable(item) for item in value]
    return value
