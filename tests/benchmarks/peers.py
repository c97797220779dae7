"""The readers that are compared: attrib, and what people use instead.

Each is a function that prepares (imports, which are not counted) and returns the read that is timed. Beside its result
stands how many events it tells of: all entries of the array, and complete ones (`ph: X`), where it keeps them apart.
"""

import contextlib
import gc
import importlib.util
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from peers_scan import scan

ATTRIB = "attrib"
JSON, GC_OFF, HTA = "json.load", "json.load, collector off", "HTA's parser"
SIMDJSON, LOADER = "simdjson scan of blocks", "ORT transformers profiler"

Read = Callable[[Path], Any]


class Count(NamedTuple):
    """Events in a reader's result; None where it does not tell."""

    entries: int | None
    complete: int | None


class Reader(NamedTuple):
    """One way to read a trace.

    `package` is what it needs, `kinds` the formats that it reads; `prepare` imports, `count` looks at what was read.
    """

    package: str
    kinds: tuple[str, ...]
    prepare: Callable[[], Read]
    count: Callable[[Any], Count]


def events_of(document: Any) -> list[dict[str, Any]]:
    """The array of events of either format."""
    return document["traceEvents"] if isinstance(document, dict) else document


def count_json(document: Any) -> Count:
    """What a whole parsed document holds."""
    events = events_of(document)
    return Count(len(events), sum(event.get("ph") == "X" for event in events))


def with_json() -> Read:
    """`json.load` of the open file."""

    def read(path: Path) -> Any:
        with path.open(encoding="utf-8") as file:
            return json.load(file)

    return read


def with_collector_off() -> Read:
    """The same without Python's garbage collector, which walks every new object again and again."""
    load = with_json()

    def read(path: Path) -> Any:
        gc.disable()
        return load(path)

    return read


def with_orjson() -> Read:
    """`orjson.loads` of the file's bytes."""
    import orjson

    return lambda path: orjson.loads(path.read_bytes())


def with_pandas() -> Read:
    """A data frame of the parsed events, as notebooks do it."""
    import pandas as pd

    load = with_json()
    return lambda path: pd.DataFrame(events_of(load(path)))


def with_hta() -> Read:
    """The parser of HolisticTraceAnalysis, with its default configuration."""
    from hta.common.trace_parser import parse_trace_dataframe
    from hta.configs.parser_config import ParserConfig

    logging.disable(logging.WARNING)
    return lambda path: parse_trace_dataframe(str(path), ParserConfig.get_default_cfg())


def with_transformers_profiler() -> Read:
    """`onnxruntime.transformers.profile_result_processor`: its loader, and its three tables without printing them.

    The module is loaded by its file: the packages above it would import onnxruntime.
    """
    package = importlib.util.find_spec("onnxruntime")
    assert package is not None
    assert package.origin is not None
    file = Path(package.origin).parent / "transformers" / "profile_result_processor.py"
    spec = importlib.util.spec_from_file_location("profile_result_processor", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def read(path: Path) -> Any:
        with open(os.devnull, "w") as silence, contextlib.redirect_stdout(silence):  # noqa: PTH123
            records = module.load_profile_json(str(path))
            module.parse_kernel_results(records)
            module.parse_node_results(records)
            module.group_node_results(records)
        return records

    return read


def with_simdjson() -> Read:
    """A structural scan of blocks as large as attrib's: what any reader of this file has to pay at least."""
    import simdjson

    return lambda path: scan(path, simdjson.Parser().parse)


def with_attrib() -> Read:
    """`read_trace`, strict."""
    from attrib.traces import read_trace

    return read_trace


KINETO, ORT = "kineto", "ort"
BOTH = (KINETO, ORT)

READERS: dict[str, Reader] = {
    ATTRIB: Reader("attrib", BOTH, with_attrib, lambda table: Count(None, len(table))),
    JSON: Reader("json", BOTH, with_json, count_json),
    GC_OFF: Reader("json", BOTH, with_collector_off, count_json),
    "orjson.loads": Reader("orjson", BOTH, with_orjson, count_json),
    "pandas.DataFrame": Reader("pandas", BOTH, with_pandas, lambda frame: Count(len(frame), int((frame.ph == "X").sum()))),
    HTA: Reader("hta", (KINETO,), with_hta, lambda parsed: Count(None, len(parsed[1]))),
    LOADER: Reader("onnxruntime", (ORT,), with_transformers_profiler, count_json),
    SIMDJSON: Reader("simdjson", BOTH, with_simdjson, lambda entries: Count(entries, None)),
}  # fmt: skip
"""Every reader by the name that the tables show."""
