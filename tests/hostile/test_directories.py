# ruff: noqa: E501 - a table: one attack a line
"""Trace directories whose entries are links, pipes, devices and crowds: nothing outside is read, and nothing waits."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile_capture import Capture, Case, Outcome
from hostile_judge import judge

FILES = (
    "manifest.json", "latency.parquet", "outputs.json", "torch/trace.json.gz", "ort/profile.json.gz", "onnx/exported.onnx",
    "onnx/optimized.onnx",
)  # fmt: skip
UNREAD = ("inputs.npz",)
"""Listed, but no report needs it."""


def pipe(name: str) -> Callable[[Capture], None]:
    """A named pipe in a file's place: whoever opens it waits for a writer for ever."""

    def tamper(capture: Capture) -> None:
        path = capture.root / name
        path.unlink(missing_ok=True)
        os.mkfifo(path)
        _empty(capture, name)

    return tamper


def a_socket(name: str) -> Callable[[Capture], None]:
    def tamper(capture: Capture) -> None:
        path = capture.root / name
        path.unlink()
        here = Path.cwd()
        os.chdir(path.parent)  # the name of a socket has to be short
        try:
            with socket.socket(socket.AF_UNIX) as end:
                end.bind(path.name)
        finally:
            os.chdir(here)
        _empty(capture, name)

    return tamper


def folder(name: str) -> Callable[[Capture], None]:
    def tamper(capture: Capture) -> None:
        (capture.root / name).unlink()
        (capture.root / name).mkdir()
        _empty(capture, name)

    return tamper


def link(name: str, target: str) -> Callable[[Capture], None]:
    """A symbolic link in a file's place; `{outside}` and `{root}` stand for the two folders."""

    def tamper(capture: Capture) -> None:
        where = target.replace("{outside}", str(capture.outside)).replace("{root}", str(capture.root))
        capture.link(name, where)
        if name == "manifest.json":
            capture.manifest = {}

    return tamper


def sparse(name: str, size: int) -> Callable[[Capture], None]:
    def tamper(capture: Capture) -> None:
        with (capture.root / name).open("wb") as file:
            file.truncate(size)
        capture.claim(name, size=size, sha256="0" * 64)

    return tamper


def hard_link(capture: Capture) -> None:
    """Not to be told from a file of the directory, and with its hash in the manifest it is one."""
    (capture.root / "outputs.json").unlink()
    os.link(capture.outside / "capture" / "outputs.json", capture.root / "outputs.json")
    capture.claim("outputs.json")


def folder_link(capture: Capture) -> None:
    for path in (capture.root / "torch").iterdir():
        path.unlink()
    (capture.root / "torch").rmdir()
    (capture.root / "torch").symlink_to(capture.outside / "capture" / "torch")


def folder_loop(capture: Capture) -> None:
    capture.manifest["sides"]["torch"]["folder"] = "a"
    (capture.root / "a").symlink_to("b")
    (capture.root / "b").symlink_to("a")


def to_itself(capture: Capture) -> None:
    """A path of many rounds through a link to the directory itself is inside, and only slow."""
    (capture.root / "self").symlink_to(".")
    capture.manifest["sides"]["torch"]["folder"] = "self/" * 150 + "torch"


def report_link(capture: Capture) -> None:
    (capture.root / "report.html").symlink_to(capture.outside / "secret.json")
    (capture.root / "report.json").symlink_to("/dev/full")


def _empty(capture: Capture, name: str) -> None:
    if name == "manifest.json":
        capture.manifest = {}
    else:
        capture.claim(name, size=0, sha256="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")


def foreign(*steps: Callable[[Capture], None]) -> Callable[[Capture], None]:
    """The same in a directory that attrib did not write, beside the two traces."""

    def tamper(capture: Capture) -> None:
        capture.foreign()
        for step in steps:
            step(capture)

    return tamper


def beside(name: str, make: Callable[[Path], object]) -> Callable[[Capture], None]:
    return lambda capture: make(capture.root / name) and None


def crowd(capture: Capture) -> None:
    for number in range(2_000):
        (capture.root / f"f{number}").touch()


def folders(capture: Capture) -> None:
    for number in range(2_000):
        (capture.root / f"d{number}").mkdir()


def deep(capture: Capture) -> None:
    path = capture.root
    for _ in range(300):
        path /= "d"
        path.mkdir()


def written(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


def endless(size: int) -> Callable[[Path], object]:
    """A file that begins like an object and then holds nothing for gigabytes, in no space on the disk."""

    def make(path: Path) -> None:
        with path.open("wb") as file:
            file.write(b'{"a": "')
            file.truncate(size)

    return make


def case(name: str, tamper: Callable[[Capture], None], outcome: Outcome = "error", says: str = "") -> Case:
    return Case(name=name, tamper=tamper, outcome=outcome, says=says)


CASES = (
    *(case(f"a pipe for {name}", pipe(name), says="not a regular file") for name in FILES),
    *(case(f"a pipe for {name}", pipe(name), "report") for name in UNREAD),
    *(case(f"a folder for {name}", folder(name), says="not a regular file") for name in FILES),
    case("a socket", a_socket("outputs.json"), says="cannot be read"),
    *(
        case(f"{name} is a link to the same file outside", link(name, f"{{outside}}/capture/{name}"), says="outside")
        for name in FILES
    ),
    case("a link to /dev/zero", link("outputs.json", "/dev/zero"), says="outside"),
    case("a link to /etc/passwd", link("outputs.json", "/etc/passwd"), says="outside"),
    case("a manifest that is a link to /dev/zero", link("manifest.json", "/dev/zero"), says="outside"),
    case("a manifest that is a link to /etc/passwd", link("manifest.json", "/etc/passwd"), says="outside"),
    case("a manifest that is a link to itself", link("manifest.json", "manifest.json")),
    case("a manifest that is a link to nothing", link("manifest.json", "nothing")),
    case("a link up and down again", link("outputs.json", "../capture/onnx/exported.onnx"), "error"),
    case("a link to a file inside", link("inputs.npz", "outputs.json"), "report"),
    case("a link to itself", link("outputs.json", "outputs.json"), says="outputs.json"),
    case("a hard link", hard_link, "report"),
    case("a folder that is a link", folder_link, says="outside"),
    case("folders that are links to each other", folder_loop, "error"),
    case("a link to the directory itself", to_itself, "either"),
    case("reports that are links out", report_link, "report"),
    case("a sparse file of a terabyte", sparse("outputs.json", 1 << 40), says="no such file of a capture is larger than 64 MiB"),
    case("a sparse graph of 2 GiB", sparse("onnx/exported.onnx", 1 << 31), says="larger than 256 MiB"),
    case("foreign: as it is", foreign(), "report"),
    case("foreign: a pipe", foreign(beside("p.json", os.mkfifo)), "report"),
    case("foreign: a pipe that ends in .onnx", foreign(beside("p.onnx", os.mkfifo)), "report"),
    case("foreign: links out", foreign(beside("t.json", lambda p: p.symlink_to("/dev/zero")), beside("f", lambda p: p.symlink_to("../../outside"))), "report"),
    case("foreign: two thousand files", foreign(crowd), says="more than 500 files"),
    case("foreign: two thousand folders", foreign(folders), says="more than 500 files"),
    case("foreign: three hundred folders deep", foreign(deep), "report"),
    case("foreign: a text without an end", foreign(beside("x.json", endless(1 << 34))), "either"),
    case("foreign: a hundred texts without an end", foreign(*(beside(f"x{i}.json", endless(1 << 34)) for i in range(100))), says="MiB of JSON that is no trace"),
    case("foreign: zeros", foreign(beside("x.json", written(bytes(1 << 20)))), "report"),
    case("foreign: brackets", foreign(beside("x.json", written(b"[" * (4 << 20)))), "report"),
    case("foreign: braces", foreign(beside("x.json", written(b'{"a":' * 500_000))), "report"),
    case("foreign: members", foreign(beside("x.json", written(b"{" + b'"a":1,' * 3_000_000))), "report"),
    case("foreign: an .onnx that is none", foreign(lambda c: (c.root / "onnx/optimized.onnx").write_bytes(b"\xff" * 500) and None), "report"),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_hostile_directory_is_refused_or_read_within_itself(results, case):
    judge(case, results[case.name])


def test_reports_do_not_go_through_links(results):
    result = results["reports that are links out"]
    assert "the-secret" in (result.outside / "secret.json").read_text()
    assert not (result.root / "report.html").is_symlink()
    assert not (result.root / "report.json").is_symlink()
