"""Names that are markup, options, paths or terminal codes are text, all the way to HTML, JSON, Markdown and the terminal."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser

import onnx
import pytest
from hostile_capture import Capture, Case, Outcome
from hostile_judge import judge

NAMES = {
    "script": "</script><script>alert('attacked')</script>",
    "image": "<img src=x onerror=alert('attacked')>",
    "attribute": "\" onmouseover=\"alert('attacked')",
    "comment": "--><svg onload=alert('attacked')>",
    "template": "{{ 7 * 191 }}{% include '/etc/passwd' %}",
    "terminal": "\x1b[2J\x1b]0;attacked\x07\x9b31m",
    "lines": "a\r\nattrib: error: attacked\n# attacked",
    "right to left": "\u202eattacked\u2066",
    "markdown": "[attacked](javascript:alert(1)) ![x](http://attacked.example/x.png) `| @attacked",
    "rich": "[red]attacked[/red][link=http://attacked.example]",
    "option": "--output=/tmp/attacked",
    "path": "../../../../etc/passwd",
    "surrogate": "\ud800attacked",
}
CODE = re.compile(r"(?P<fence>`+)(?!`).*?(?<!`)(?P=fence)(?!`)", re.DOTALL)
"""Code spans and fenced blocks of Markdown, in which nothing is markup."""

CODES = ("\x1b", "\x07", "\x9b", "\u202e", "\u2066")


def everywhere(text: str) -> Callable[[Capture], None]:
    """The name in the workload, the sides, the environment, the outputs, both graphs, and both traces."""

    def tamper(capture: Capture) -> None:
        plain = _decodable(text)
        capture.manifest["workload"] |= {"model": plain, "weights": plain, "source": plain}
        capture.manifest |= {"command": plain, "warnings": [plain], "created": plain}
        capture.manifest["environment"] |= {"cpu": plain, "packages": {plain: plain}}
        for side in capture.manifest["sides"].values():
            side["version"] = side["opt_level"] = plain
            side["settings"][plain] = plain
        capture.put_json("outputs.json", [{
            "name": plain, "shape": [1], "max_abs": 1.0, "max_rel": 1.0, "cosine": 0.0, "tolerance": 0.1, "equal": False,
            "reason": plain,
        }])  # fmt: skip
        kineto = capture.json("torch/trace.json.gz")
        for event in kineto["traceEvents"]:
            if event.get("cat") == "cpu_op":
                event["name"] = f"{text}{event['name']}"
        capture.put_json("torch/trace.json.gz", kineto)
        profile = capture.json("ort/profile.json.gz")
        for event in profile:
            if event["cat"] == "Node":
                event["name"] = f"{text}{event['name']}"
                event["args"] |= {"op_name": text, "provider": text}
        lines = ",\n".join(map(json.dumps, profile))
        capture.put("ort/profile.json.gz", f"[\n{lines}\n]\n".encode())
        _rename(capture, plain)

    return tamper


def _decodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _rename(capture: Capture, text: str) -> None:
    model = onnx.ModelProto()
    model.ParseFromString((capture.root / "onnx/optimized.onnx").read_bytes())
    for node in model.graph.node:
        node.name, node.op_type = f"{text}{node.name}", text
    capture.put("onnx/optimized.onnx", model.SerializeToString())


NODE = "node_gelu"
OUTCOMES: dict[str, Outcome] = {"unknown": "error"}
CASES = tuple(
    Case(
        name=f"{name}: {kind}",
        tamper=everywhere(text),
        outcome=OUTCOMES.get(kind, "report"),
        args=(command, "{dir}", *options),
    )
    for name, text in NAMES.items()
    for kind, command, *options in (
        ("page", "report", "--static"),
        ("markdown", "report", "--format", "markdown"),
        ("JSON", "report", "--format", "json"),
        ("explained", "explain", "--", f"{_decodable(text)}{NODE}"),
        ("unknown", "explain", "--", f"{_decodable(text)}{NODE}s"),
    )
)


class Elements(HTMLParser):
    """What a browser would act on."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [(tag, f"{name}={value}") for name, value in attrs] or [(tag, "")]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_name_stays_text(results, case):
    result = results[case.name]
    judge(case, result)
    told = result.stdout + result.stderr
    if "JSON" in case.name:
        json.loads(result.stdout)
        return
    assert not [code for code in CODES if code in told]
    if "markdown" in case.name:
        told = CODE.sub("", told)
        assert "<script>alert" not in told
        assert "<img src=x" not in told
    for line in told.splitlines():
        assert not line.startswith(("attrib: error: attacked", "# attacked"))


@pytest.mark.parametrize("name", NAMES)
def test_a_page_of_such_names_holds_no_element_of_theirs(results, name):
    page = (results[f"{name}: page"].root / "report.html").read_text(encoding="utf-8")
    elements = Elements()
    elements.feed(page)
    acted_on = [
        item for item in elements.found
        if item[1].startswith(("on", "href=javascript:", "src=javascript:", "src=http")) or item == ("img", "src=x")
    ]  # fmt: skip
    assert acted_on == []
    assert "<script>alert" not in page
    assert not [code for code in CODES if code in page]
