"""What holds for attrib's answer to every attack."""

import json
from dataclasses import dataclass
from pathlib import Path

from hostile_capture import Case

SECRET = "the-secret-outside-the-directory"
MEMORY = 500 << 20
"""Bytes by which one case may raise the peak of the process."""


@dataclass(frozen=True)
class Result:
    """How attrib answered one case."""

    code: int
    seconds: float
    memory: int
    opened: tuple[str, ...]
    stdout: str
    stderr: str
    root: Path
    outside: Path

    def written(self) -> dict[str, str]:
        """Every text that came out, by where it came out."""
        reports = {
            path.name: path.read_text(encoding="utf-8", errors="replace")
            for path in self.root.glob("report.*")
            if path.is_file()
        }
        return {"stdout": self.stdout, "stderr": self.stderr, **reports}


def judge(case: Case, result: Result) -> None:
    """What holds for every attack: a report or one line, in bounded memory, with nothing outside touched."""
    assert result.code in {"error": (1, 2, 3), "report": (0,), "either": (0, 1, 2, 3)}[case.outcome], (
        result.code,
        result.stderr[-2000:],
    )
    assert "Traceback" not in result.stderr
    if result.code:
        lines = result.stderr.splitlines()
        assert lines[0].startswith("attrib: error: ")
        assert len(lines) <= 2, lines
        assert len(result.stderr) < 3000
    assert result.memory < MEMORY
    outside = [path for path in result.opened if Path(path).is_relative_to(result.outside)]
    assert not outside
    assert not {"/etc/passwd", "/dev/zero", "/etc"} & set(result.opened)
    written = result.written()
    assert not any(SECRET in text for text in written.values())
    for text in case.never:
        assert not [name for name, content in written.items() if text in content]
    report = written.get("report.json")
    if report:
        findings = json.loads(report)["findings"]
        assert not [(f["id"], f["title"]) for f in findings if f["state"] == "error"]
    if case.says:
        told = result.stderr if result.code else "".join(written.values())
        assert case.says in told
