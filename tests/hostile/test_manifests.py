# ruff: noqa: E501 - a table: one attack a line
"""Manifests made to hurt: every number, list and name in them is a stranger's."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hostile_capture import Capture, Case, Outcome
from hostile_judge import judge

NUMBERS = {"negative": -1, "huge": 1 << 62}

NUMERIC_FIELDS = (
    "workload.batch_size", "workload.seq_len", "workload.seed", "workload.padding", "workload.parameters",
    "workload.layers", "environment.logical_cores", "environment.usable_cores", "environment.memory_bytes",
    "environment.load_before", "environment.load_after", "environment.affinity", "environment.cpu_quota",
    "environment.stolen_share", "environment.throttled_seconds", "environment.thermal_throttles",
    "protocol.rounds", "protocol.iterations", "protocol.profiled_rounds", "protocol.profiled_iterations",
    "protocol.seed", "phases.0.seconds", "files.0.size", "sides.torch.threads", "sides.onnxruntime.threads",
    "sides.torch.warmup", "sides.onnxruntime.opset", "sides.torch.idle_cpu_share",
    "sides.onnxruntime.idle_cpu_share", "sides.torch.overhead.inside_ns", "sides.torch.overhead.outside_ns",
    "sides.torch.overhead.scope_ns", "sides.torch.overhead.samples", "sides.onnxruntime.overhead.inside_ns",
    "sides.onnxruntime.overhead.outside_ns", "sides.onnxruntime.overhead.between_ns",
)  # fmt: skip

ZEROS = (
    "",
    "abc",
    "-1",
    "1e9",
    "9" * 25,
    "9" * 5000,
    "0x10",
    " 12 ",
    "١٢٣",
    "1_000",
    str(-(1 << 63)),
    str((1 << 63) - 1),
)
"""What a side may say is the epoch time of its profile's zero: a setting is text."""


def put_in(path: str, value: object) -> Callable[[Capture], None]:
    """A tampering that sets one field of the manifest."""

    def tamper(capture: Capture) -> None:
        place: Any = capture.manifest
        *parents, last = path.split(".")
        for key in parents:
            place = place[int(key)] if isinstance(place, list) else place[key]
        place[int(last) if isinstance(place, list) else last] = value

    return tamper


def update(**changes: object) -> Callable[[Capture], None]:
    """A tampering that replaces members of the manifest."""
    return lambda capture: capture.manifest.update(changes)


def raw(data: Callable[[Capture], bytes]) -> Callable[[Capture], None]:
    """A tampering that replaces the whole file."""

    def tamper(capture: Capture) -> None:
        data_ = data(capture)
        capture.manifest = {}
        (capture.root / "manifest.json").write_bytes(data_)

    return tamper


def text_of(capture: Capture) -> str:
    return json.dumps(capture.manifest)


def many(count: int, item: Callable[[int], object]) -> list[object]:
    return [item(number) for number in range(count)]


def same_entry_twice(capture: Capture) -> None:
    capture.manifest["files"] += [dict(entry, sha256="0" * 64) for entry in capture.manifest["files"]]


def same_entry_first(capture: Capture) -> None:
    capture.manifest["files"] = [
        dict(entry, state="missing", reason="gone") for entry in capture.manifest["files"]
    ] + capture.manifest["files"]


def swapped(capture: Capture) -> None:
    sides = capture.manifest["sides"]
    sides["torch"]["folder"], sides["onnxruntime"]["folder"] = "ort", "torch"


def one_folder(capture: Capture) -> None:
    for side in capture.manifest["sides"].values():
        side["folder"] = "torch"


def same_engine(engine: str, folder: str) -> Callable[[Capture], None]:
    def tamper(capture: Capture) -> None:
        for side in capture.manifest["sides"].values():
            side |= {"engine": engine, "folder": folder}

    return tamper


def without_side(role: str) -> Callable[[Capture], None]:
    return lambda capture: capture.manifest["sides"].pop(role) and None


def failed_sides(capture: Capture) -> None:
    for side in capture.manifest["sides"].values():
        side |= {"state": "failed", "error": "x" * 100_000}


def peaks(value: float) -> Callable[[Capture], None]:
    """Machine limits beyond reason on both sides."""

    def tamper(capture: Capture) -> None:
        for side in capture.manifest["sides"].values():
            side["peaks"] = {"flops": {"float": value}, "read_bytes_per_s": value, "copy_bytes_per_s": value}

    return tamper


def sized(name: str, size: int) -> Callable[[Capture], None]:
    return lambda capture: capture.claim(name, size=size)


FIELD_CASES = tuple(
    Case(name=f"{path} is {kind}", tamper=put_in(path, value), outcome="either")
    for path in NUMERIC_FIELDS
    for kind, value in NUMBERS.items()
)

ZERO_CASES = tuple(
    Case(
        name=f"profiling_start_ns is {value[:24]!r}, {len(value)} characters",
        tamper=put_in("sides.onnxruntime.settings.profiling_start_ns", value),
        outcome="either",
    )
    for value in ZEROS
)


def case(name: str, tamper: Callable[[Capture], None], outcome: Outcome = "error", says: str = "") -> Case:
    return Case(name=name, tamper=tamper, outcome=outcome, says=says)


CASES = (
    case("NaN", raw(lambda c: text_of(c).replace('"seed": 0', '"seed": NaN').encode()), says="not valid JSON"),
    case("an integer beyond 64 bits", put_in("workload.seed", 1 << 63), says="beyond 64 bits at $.workload.seed"),
    case("a number of a thousand digits", put_in("phases.0.seconds", int("9" * 300)), says="beyond 64 bits"),
    case("a number near infinity", put_in("environment.cpu_quota", -1e308), says="beyond 64 bits"),
    case("deep nesting", raw(lambda _: b'{"a":' * 200_000 + b"1" + b"}" * 200_000)),
    case("deep nesting in a field", raw(lambda c: text_of(c)[:-1].encode() + b',"x":' + b"[" * 500_000)),
    case("larger than the limit", raw(lambda c: text_of(c).encode() + b" " * (4 << 20)), says="larger than 4 MiB"),
    case("as large as the limit", update(command="x" * (3 << 20)), "report"),
    case("a string of 50 MB", update(command="x" * (50 << 20)), says="larger than 4 MiB"),
    case("a million files", update(files=many(1_000_000, lambda i: {"path": f"{i}", "state": "missing"}))),
    case(
        "twenty thousand files beside its own",
        lambda c: c.manifest["files"].extend({"path": f"f{i}", "state": "missing"} for i in range(20_000)),
        says="lists 20,009 files",
    ),
    case("ninety thousand phases", update(phases=many(90_000, lambda _: {"name": "p", "state": "complete"})), "either"),
    case("two hundred thousand warnings", update(warnings=many(200_000, lambda i: f"warning {i}")), "either"),
    case(
        "two hundred thousand settings",
        lambda c: c.manifest["sides"]["torch"]["settings"].update({f"k{i}": "v" for i in range(200_000)}),
        "either",
    ),
    case(
        "two hundred thousand packages",
        lambda c: c.manifest["environment"]["packages"].update({f"k{i}": "1" for i in range(200_000)}),
        "either",
    ),
    case(
        "nine thousand experiments that are not there",
        lambda c: c.manifest["files"].extend(
            {"path": f"verify/{i}.json", "state": "complete", "sha256": "0" * 64, "size": 1} for i in range(9_000)
        ),
        "either",
    ),
    case(
        "ten thousand rewrites without a graph",
        put_in("sides.onnxruntime.rewrites", [{"name": "r", "tool": "t", "graph": f"g{i}"} for i in range(10_000)]),
        "either",
    ),
    case(
        "a rewrite whose graph leads out",
        put_in("sides.onnxruntime.rewrites", [{"name": "r", "tool": "t", "graph": "../../outside/capture/onnx/exported.onnx"}]),
        "either",
    ),
    case("fifty thousand inputs", put_in("workload.inputs", many(50_000, lambda i: {"name": f"i{i}", "tensor": {"dtype": "float", "shape": [1]}})), "either"),
    case("an input of many dimensions", put_in("workload.inputs", [{"name": "i", "tensor": {"dtype": "float", "shape": [1 << 62] * 150_000}}]), "either"),
    case("an input whose size overflows", put_in("workload.inputs", [{"name": "i", "tensor": {"dtype": "float", "shape": [1 << 62, 1 << 62, -5]}}]), "either"),
    case("every file twice, the second contradicting", same_entry_twice, says="lists a file twice"),
    case("every file twice, the first missing", same_entry_first, says="lists a file twice"),
    case("the sides' folders swapped", swapped, "report"),
    case("both sides in one folder", one_folder, "report"),
    case("both sides PyTorch from one trace", same_engine("torch", "torch"), "either"),
    case("both sides ONNX Runtime from one profile", same_engine("onnxruntime", "ort"), "either"),
    case("no PyTorch side", without_side("torch"), "report"),
    case("no ONNX Runtime side", without_side("onnxruntime"), "report"),
    case("no side", update(sides={}), "report"),
    case("a third side", put_in("sides.tensorflow", {"engine": "torch", "state": "complete", "folder": "torch"}), says="not a manifest"),
    case("an unknown engine", put_in("sides.torch.engine", "jax"), says="not a manifest"),
    case("sides that failed with a long reason", failed_sides, "either"),
    case("no protocol", update(protocol=None), "report"),
    case("no environment", update(environment={}), "report"),
    case("an unknown format version", update(format_version=99), says="newer attrib"),
    case("a format version of the past", update(format_version=-5), "either"),
    case("a date that is none", update(created="\x1b[2J not a date"), "either"),
    case("no peaks to speak of", peaks(0.0), "either"),
    case("infinite peaks", peaks(1e308), "either"),
    case("negative peaks", peaks(-1.0), "either"),
    case("tiny peaks", peaks(5e-324), "either"),
    case("a wrong size", sized("outputs.json", 10**15), says="cut short or changed"),
    case("a negative size", sized("outputs.json", -1), says="cut short or changed"),
    case("absolute folder", put_in("sides.torch.folder", "/etc"), says="outside its directory"),
    case("a folder above", put_in("sides.torch.folder", "../outside/capture/torch"), says="outside its directory"),
    case("the folder is the directory", put_in("sides.torch.folder", ""), "either"),
    case("a folder of a million parts", put_in("sides.torch.folder", "a/" * 500_000), "either"),
    case("a folder with a long name", put_in("sides.torch.folder", "a" * 100_000), "either"),
    case("a file with a long name", lambda c: c.manifest["files"].append({"path": "n" * 100_000, "state": "missing"}), "either"),
)  # fmt: skip


EVERY_CASE = (*CASES, *FIELD_CASES, *ZERO_CASES)


@pytest.mark.parametrize("case", EVERY_CASE, ids=lambda case: case.name)
def test_a_hostile_manifest_gives_a_report_or_one_line(results, case):
    judge(case, results[case.name])
