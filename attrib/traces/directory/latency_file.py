"""`latency.parquet` to the latency table.

Until the last round of a capture is over there is a file for each round instead, with the same columns.
"""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np

from attrib.errors import AttribError
from attrib.model.latency import LATENCY_COLUMNS, OPTIONAL_COLUMNS, LatencyTable, StepPhase
from attrib.model.manifest import LATENCY, ROLES
from attrib.traces.directory.manifest_file import INTACT_COPY

MOST_ROWS = 500_000
"""A capture of a fast model that was resumed a few times has 100,000, and --iterations asks for more; resampling takes a
thousand times as many figures, so that a file of tens of millions is none of a capture."""

MOST_BYTES = 1 << 26
"""Bytes that the columns may unpack to."""

_LEAST = {"block": 0, "iteration": 0, "wall_ns": 1}
"""The lowest value of a column that can be: no step takes no time."""

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
            # No thread of Arrow's, and no file of Python's: one that lets go of the other last, when Python has ended
            # already, aborts the process.
            pa.OSFile(os.fsencode(path)) as stream,
            # A text column stays a dictionary: a file may say one long text a million times.
            parquet.ParquetFile(stream, read_dictionary=list(_TEXTS), pre_buffer=False) as file,
        ):  # read_table and to_numpy would import pandas
            metadata = file.metadata
            if metadata.num_rows > MOST_ROWS:
                raise AttribError(f"{path}: holds {metadata.num_rows:,} rows", hint=INTACT_COPY)
            groups = map(metadata.row_group, range(metadata.num_row_groups))
            if sum(group.total_byte_size for group in groups) > MOST_BYTES:
                raise AttribError(f"{path}: unpacks to more than {MOST_BYTES >> 20} MiB", hint=INTACT_COPY)
            counts = Counter(file.schema_arrow.names)
            if twice := [name for name, count in counts.items() if count > 1]:  # which one would count?
                raise AttribError(f"{path}: has a column twice: {twice[0][:40]!r}", hint=INTACT_COPY)
            table = file.read(use_threads=False)
    except KeyError as error:  # read_dictionary names a column that is not there, or not flat
        absent = next((name for name in _TEXTS if name in str(error)), "")
        raise AttribError(f"{path}: has no column {absent} of texts", hint=INTACT_COPY) from error
    except (pa.ArrowException, OSError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise AttribError(f"{path}: not a Parquet file: {reason}", hint=INTACT_COPY) from error
    missing = [name for name in LATENCY_COLUMNS if name not in table.column_names]
    if missing:
        raise AttribError(f"{path}: has no column {', '.join(missing)}", hint=INTACT_COPY)
    columns: dict[str, Any] = {
        name: _text_column(path, table, name) if name in _TEXTS else _integer_column(path, table, name)
        for name in LATENCY_COLUMNS
    }
    for name, least in _LEAST.items():
        if (lowest := columns[name].min(initial=least)) < least:
            raise AttribError(f"{path}: column {name} holds {lowest}", hint=INTACT_COPY)
    more = {
        name: _integer_column(path, table, name) for name in OPTIONAL_COLUMNS if name in table.column_names
    }
    return LatencyTable(**columns, more=more)


def join_latencies(tables: Sequence[LatencyTable]) -> LatencyTable:
    """The steps of several tables as one, in the order of the tables.

    Raises:
        AttribError: They hold more steps than a capture times.
    """
    rows = sum(map(len, tables))
    if rows > MOST_ROWS:
        raise AttribError(f"{LATENCY}: its parts hold {rows:,} rows", hint=INTACT_COPY)
    return LatencyTable(
        engine=tuple(engine for table in tables for engine in table.engine),
        phase=tuple(phase for table in tables for phase in table.phase),
        block=np.concatenate([table.block for table in tables]),
        iteration=np.concatenate([table.iteration for table in tables]),
        start_ns=np.concatenate([table.start_ns for table in tables]),
        wall_ns=np.concatenate([table.wall_ns for table in tables]),
        more={
            name: np.concatenate([table.column(name) for table in tables])
            for name in OPTIONAL_COLUMNS
            if any(name in table.more for table in tables)
        },
    )


def _text_column(path: Path, table: Any, name: str) -> tuple[str, ...]:
    import pyarrow as pa

    column, values = table.column(name), list[str | None]()
    if not pa.types.is_dictionary(column.type):
        raise AttribError(f"{path}: column {name} ({column.type}) holds no texts", hint=INTACT_COPY)
    for chunk in column.chunks:
        spelled = [*map(str, chunk.dictionary.to_pylist()), None]
        values += [spelled[-1 if index is None else index] for index in chunk.indices.to_pylist()]
    for value in values:
        if value not in _TEXTS[name]:
            shown = value if value is None else value[:40]
            raise AttribError(f"{path}: column {name} holds {shown!r}", hint=INTACT_COPY)
    return cast("tuple[str, ...]", tuple(values))


def _integer_column(path: Path, table: Any, name: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    import pyarrow as pa

    column = table.column(name)
    if not pa.types.is_signed_integer(column.type) or column.null_count:
        raise AttribError(
            f"{path}: column {name} ({column.type}) holds nulls or no integers", hint=INTACT_COPY
        )
    return np.array(column.to_pylist(), dtype=np.int64)
