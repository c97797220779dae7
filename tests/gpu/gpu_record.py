"""Record the sample captures of a GPU, with where they come from: `python tests/gpu/gpu_record.py DIR [CASE]...`.

Each case becomes a trace directory of a few rounds; `CASE-figures.json` beside it holds sums that were made without
attrib, and `README.md` the machine, the versions and the commands. Nothing is edited afterward.
"""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent)]

TRACES = {"torch/trace.json.gz": "attrib.step#", "ort/device.json.gz": "attrib.run#"}
LARGEST_MB = 8
"""A sample above this does not belong into a repository; fewer rounds make it smaller."""


def figures_of(directory: Path) -> dict[str, list[dict[str, Any]]]:
    """Per trace and step: what the device did, by json and sums alone."""
    from gpu_truth import plain_steps

    return {
        name: [
            {
                "step": step.name,
                "wall_ns": step.wall_ns,
                "kernels": step.kernels,
                "kernels_ns": step.kernels_ns,
                "copies_ns": step.copies_ns,
                "busy_ns": step.busy_ns,
                "streams": len(step.streams),
                "copied_bytes": dict(sorted(step.copied.items())),
            }
            for step in plain_steps(directory / name, prefix)
        ]
        for name, prefix in TRACES.items()
        if (directory / name).exists()
    }


def provenance(commands: dict[str, str]) -> str:
    """What recorded the samples: versions, device, driver, and the command of each; no name of a machine or person."""
    from gpu_cases import ROUNDS

    from attrib.capture.system.environment import describe_environment

    found = describe_environment()
    packages = ", ".join(f"{name} {version}" for name, version in sorted(found.packages.items()))
    rows = "\n".join(f"| `{name}` | `{command}` |" for name, command in commands.items())
    devices = ", ".join(found.accelerators) or "none"
    return (
        "# Captures of a GPU\n\n"
        f"Recorded {datetime.now(UTC):%Y-%m-%d} by `python tests/gpu/gpu_record.py`, and not edited afterward.\n\n"
        f"- device: {devices}, driver {_driver()}\n- processor: {found.cpu}, {found.usable_cores:g} cores\n"
        f"- {found.system}, Python {found.python}: {packages}\n\n"
        f"From Python with `rounds={ROUNDS}`, which keeps the traces small:\n\n"
        f"| folder | command |\n|---|---|\n{rows}\n"
    )


def _driver() -> str:
    try:
        asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        return subprocess.run(asked, capture_output=True, text=True, check=True, timeout=20).stdout.split()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        return "unknown"


def record(case: str, output: Path) -> str:
    """Capture one case into `output`; the command that does the same."""
    from gpu_cases import options_of

    from attrib.capture import capture
    from attrib.verify.flags import command_of

    options = options_of(case, output, force=True)
    capture(options)
    figures = json.dumps(figures_of(output), indent=1)
    output.with_name(f"{output.name}-figures.json").write_text(figures + "\n")
    size = sum(file.stat().st_size for file in output.rglob("*") if file.is_file()) / 1e6
    note = "" if size < LARGEST_MB else f"  (above {LARGEST_MB} MB: lower ROUNDS in gpu_cases.py)"
    sys.stderr.write(f"{case}: {size:.1f} MB{note}\n")
    return command_of(options).replace(str(HERE), "tests/gpu").replace(f" --output {output}", "")


def main(output: Path, cases: list[str]) -> None:
    """Record the cases, all without any."""
    from conftest import why_not
    from gpu_cases import CASES

    if reason := why_not():
        sys.exit(f"nothing to record: {reason}")
    if unknown := set(cases) - set(CASES):
        sys.exit(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(CASES)}")
    output.mkdir(parents=True, exist_ok=True)
    commands = {case: record(case, output / case) for case in cases or CASES}
    (output / "README.md").write_text(provenance(commands))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2:])
