"""`report.json`: deterministic bytes from a document, and back."""

import math
from typing import Any

import msgspec

from attrib.errors import AttribError, InternalError
from attrib.model.diff import Diff
from attrib.model.document import SCHEMA_VERSION, Document
from attrib.model.estimate import Delta, Ratio
from attrib.report.view.diff import diff_view
from attrib.report.view.verdict import verdict_of

_WRITE_ANEW = "attrib report TRACE_DIR writes a new one"


class _Head(msgspec.Struct):
    schema_version: Any = None


class VerdictText(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict as every rendering words it, for programs that pass it on.

    Attributes:
        sentence: The claim, its interval, and what speaks against it.
        ratio: PyTorch's step over ONNX Runtime's, above 1 where ONNX Runtime is faster.
        interval_ns: The difference, ONNX Runtime minus PyTorch.
        split_reliable: Whether single causes may be believed.
        busy: Whether the machine was busy.
        significant: Whether there is a difference.
        reasons: Why the sentence says less than it might.
    """

    sentence: str
    ratio: Ratio | None
    interval_ns: Delta | None
    split_reliable: bool
    busy: bool
    significant: bool
    reasons: tuple[str, ...]


class Report(Document, frozen=True, kw_only=True):
    """`report.json`, version 1: the document and its verdict in words. More keys may be added within a version."""

    verdict: VerdictText | None = None


def report_of(document: Document) -> Report:
    """The document with its verdict in words, which are never read back."""
    fields = {name: getattr(document, name) for name in Document.__struct_fields__}
    return Report(**fields, verdict=verdict_text(document))


def verdict_text(document: Document) -> VerdictText:
    """The verdict in words."""
    said = verdict_of(document)
    return VerdictText(
        sentence=said.sentence,
        ratio=document.latency.ratio,
        interval_ns=document.latency.delta_ns,
        split_reliable=said.split_reliable,
        busy=said.busy,
        significant=said.significant,
        reasons=said.reasons,
    )


def to_json(document: Document, *, indent: int = 1) -> bytes:
    """The document as JSON, the same bytes for the same document.

    Args:
        document: What to write.
        indent: Blanks a level; -1 for the compact form.

    Raises:
        InternalError: A figure is not finite, which JSON cannot say.
    """
    # JSON would turn these into null, and no reader could take them back.
    for output in document.outputs:
        for name in ("max_abs", "max_rel", "cosine", "tolerance"):
            if not math.isfinite(getattr(output, name)):
                raise InternalError(f"outputs[{output.name!r}].{name} is not finite")
    return _encoded(report_of(document), indent)


class DiffReport(Diff, frozen=True, kw_only=True):
    """The diff and its verdict in words."""

    sentence: str


def diff_to_json(diff: Diff, *, indent: int = 1) -> bytes:
    """A diff as JSON with its sentence, the same bytes for the same diff; see `to_json`."""
    fields = {name: getattr(diff, name) for name in Diff.__struct_fields__}
    return _encoded(DiffReport(**fields, sentence=diff_view(diff).sentence), indent)


def _encoded(report: msgspec.Struct, indent: int) -> bytes:
    try:
        packed = msgspec.json.encode(report, order="deterministic")
    except UnicodeEncodeError:  # lone surrogates: no UTF-8 for them, so their escapes are written out
        packed = msgspec.json.encode(_encodable(msgspec.to_builtins(report)), order="deterministic")
    if indent < 0:
        return packed
    return msgspec.json.format(packed, indent=indent) + b"\n"


def from_json(data: bytes) -> Document:
    """Read `report.json`.

    Raises:
        AttribError: It is not JSON, not a report, or of a schema version that this attrib does not know.
    """
    try:
        version = msgspec.json.decode(data, type=_Head).schema_version
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AttribError(f"report.json cannot be read: {error}", hint=_WRITE_ANEW) from error
    if version is None:
        raise AttribError("report.json names no schema_version", hint=_WRITE_ANEW)
    if version != SCHEMA_VERSION:
        raise AttribError(
            f"report.json has schema version {str(version)[:20]!r}; this attrib reads version {SCHEMA_VERSION}",
            hint="pip install --upgrade attrib",
        )
    try:
        return msgspec.json.decode(data, type=Document)
    except (msgspec.ValidationError, UnicodeDecodeError) as error:
        raise AttribError(
            f"report.json does not follow schema version {SCHEMA_VERSION}: {error}", hint=_WRITE_ANEW
        ) from error


def _encodable(value: Any) -> Any:
    """The same data with lone surrogates in its texts, for which UTF-8 has no bytes, as escapes."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(item) for item in value]
    return value
