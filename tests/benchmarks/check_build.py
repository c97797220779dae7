"""Another environment with this one's packages, whose ONNX Runtime is slower by a known share: a planted regression."""

import shutil
import subprocess
import sys
from pathlib import Path

import check_stretch


def interpreter(folder: Path, share: float) -> Path:
    """Make the environment unless it is there; its interpreter.

    Args:
        folder: Where it lies.
        share: How much longer a run of ONNX Runtime takes in it; 0 changes nothing.
    """
    python = folder / "bin/python"
    if not (folder / "whole").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        (site,) = folder.glob("lib/python*/site-packages")
        lines = [path for path in sys.path if path.endswith("site-packages")]
        if share:
            plant = Path(check_stretch.__file__)
            shutil.copy(plant, site)
            lines.append(f"import {plant.stem}; {plant.stem}.install({share!r})")
        (site / "here.pth").write_text("\n".join(lines) + "\n")
        (folder / "whole").touch()
    return python
