"""What is embedded in the page: compressed data, the chart library, and a policy that forbids everything else."""

import base64
import contextlib
import gzip
import hashlib
import importlib.util
import threading
from collections.abc import Iterable
from pathlib import Path

from attrib.errors import AttribError

_UNKNOWN_SYSTEM = 255
_FAST, _SMALL = 4, 9
"""Levels of gzip for plotly.js: where a page has room, time counts for more than its size."""

NOTHING = "'none'"
"""Source of a policy that allows nothing."""


def pack(data: bytes, *, level: int = 6) -> str:
    """Compress bytes with gzip and write them as base64: the same text for the same bytes on every system."""
    squeezed = bytearray(gzip.compress(data, compresslevel=level, mtime=0))
    squeezed[9] = _UNKNOWN_SYSTEM  # RFC 1952: the operating system field, which zlib fills in by platform
    return base64.b64encode(squeezed).decode("ascii")


def sha256_source(text: str | bytes) -> str:
    """A CSP source expression that allows exactly this inline script or style, as text or as its UTF-8."""
    data = text.encode() if isinstance(text, str) else text
    return f"'sha256-{base64.b64encode(hashlib.sha256(data).digest()).decode('ascii')}'"


def plotly_source() -> bytes:
    """plotly.js as the installed plotly package ships it, found without importing that package (which is slow).

    Raises:
        AttribError: plotly is not installed, or holds no script.
    """
    spec = importlib.util.find_spec("plotly")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        script = Path(folder) / "package_data" / "plotly.min.js"
        if script.is_file():
            return script.read_bytes()
    raise AttribError(
        "the interactive charts need plotly, which is not installed",
        hint="attrib report TRACE_DIR --static leaves them out; pip install plotly adds them",
    )


def prepare_plotly() -> None:
    """Begin to pack plotly.js beside whatever is done next: zlib needs much of a tenth of a second, and no interpreter."""

    def pack() -> None:
        with contextlib.suppress(AttribError, OSError):  # whoever asks for it gets the error
            pack_plotly()

    threading.Thread(target=pack, daemon=True).start()


def pack_plotly(*, small: bool = False) -> tuple[bytes, str]:
    """plotly.js, and the same packed, fast or small; each done once, also where two threads ask for it."""
    with _PACKING:
        if small not in _PACKED:
            source = plotly_source()
            _PACKED[small] = (source, pack(source, level=_SMALL if small else _FAST))
        return _PACKED[small]


_PACKING = threading.Lock()
_PACKED: dict[bool, tuple[bytes, str]] = {}


def policy(*, scripts: Iterable[str | bytes], styles: Iterable[str]) -> str:
    """The page's Content-Security-Policy: no network, and no script or style but those whose text is named by hash.

    Args:
        scripts: Texts of the scripts that may run, or their UTF-8.
        styles: Texts of the style elements that may apply.
    """
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {' '.join(map(sha256_source, scripts)) or NOTHING}",
            f"style-src {' '.join(map(sha256_source, styles))}",
            "img-src data: blob:",  # plotly.js draws an image of a chart, to be saved, through these
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
