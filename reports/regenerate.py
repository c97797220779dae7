"""Make every report of the samples again: `python reports/regenerate.py`."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FORMATS = {"html": "html", "json": "json", "markdown": "md", "terminal": "txt"}


def regenerate(sample: Path, target: Path) -> list[Path]:
    """Write the reports of one sample in every format, as `attrib report` does."""
    made = []
    for format_, suffix in FORMATS.items():
        path = target / f"{sample.name}.{suffix}"
        command = ["report", str(sample), "-o", str(path), "--format", format_, "--static", "--force"]
        subprocess.run([sys.executable, "-m", "attrib", *command], check=True, stdout=subprocess.DEVNULL)
        made.append(path)
    return made


if __name__ == "__main__":
    for folder in sorted((ROOT / "sample_traces").iterdir()):
        if (folder / "manifest.json").is_file():
            for path in regenerate(folder, ROOT / "reports"):
                sys.stdout.write(f"{path.relative_to(ROOT)}\n")
