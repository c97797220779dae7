"""`latency.parquet` to the latency table.

Until the last round of a capture is over there is a file for each round instead, with the same columns.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np

from attrib.errors import AttribError
from attrib.model.latency import LATENCY_COLUMNS, LatencyTable, StepPhase
from attrib.model.manifest import ROLES
from attrib.traces.manifest_file import INTACT_COPY

MOST_ROWS = 10_000_000
"""A capture times some hundred steps; this many means that the file is something else."""

_TEXTS = {"engine": frozenset(ROLES), "phase": frozenset(get_args(StepPhase))}


def read_latency(path: Path) -> LatencyTable:
    """Read the timed steps.

    Raises:
        AttribError: The file is not Parquet, or a column is missing, of another type or holds an unknown
        value.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with (
            path.open("rb") as stream,
            parquet.ParquetFile(stream) as file,
        ):  # read_table and to_numpy would import pandas
            if file.metadata.num_rows > MOST_ROWS:
                raise AttribError(f"{path}: holds {file.metadata.num_rows:,} rows", hint=INTACT_COPY)
            table = file.read()
    except (pa.ArrowException, OSError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise AttribError(f"{path}: not a Parquet file: {reason}", hint=INTACT_COPY) from error
    absent = [name for name in LATENCY_COLUMNS if name not in table.column_names]
    if absent:
        raise AttribError(f"{path}: has no column {', '.join(absent)}", hint=INTACT_COPY)
    columns: dict[str, Any] = {
        name: _texts(path, table, name) if name in _TEXTS else _integers(path, table, name)
        for name in LATENCY_COLUMNS
    }
    return LatencyTable(**columns)


def join_latencies(tables: Sequence[LatencyTable]) -> LatencyTable:
    """The steps of several tables as one, in the order of the tables."""
    return LatencyTable(
        engine=tuple(engine for table in tables for engine in table.engine),
        phase=tuple(phase for table in tables for phase in table.phase),
        block=np.concatenate([table.block for table in tables]),
        iteration=np.concatenate([table.iteration for table in tables]),
        start_ns=np.concatenate([table.start_ns for table in tables]),
        wall_ns=np.concatenate([table.wall_ns for table in tables]),
    )


def _texts(path: Path, table: Any, name: str) -> tuple[str, ...]:
    values = tuple(table.column(name).to_pylist())
    unknown = [value for value in values if not (isinstance(value, str) and value in _TEXTS[name])]
    if unknown:
        raise AttribError(f"{path}: column {name} holds {unknown[0]!r}", hint=INTACT_COPY)
    return cast("tuple[str, ...]", values)


def _integers(path: Path, table: Any, name: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    import pyarrow as pa

    column = table.column(name)
    if not pa.types.is_signed_integer(column.type) or column.null_count:
        raise AttribError(
            f"{path}: column {name} ({column.type}) holds nulls or no integers", hint=INTACT_COPY
        )
    return np.array(column.to_pylist(), dtype=np.int64)
