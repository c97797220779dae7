"""What a check of the comparison reads, and what it answers."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from attrib.findings.protocol import Evidence
from attrib.model.document import CheckState
from attrib.model.execution_providers import uses_cuda
from attrib.model.manifest import Manifest, Role, Side
from attrib.version import __version__

NOT_RECORDED = "the capture does not say"

RECORD = "record with `attrib profile`, which notes it"
AGAIN = "record again with this version of attrib"


class Answer(NamedTuple):
    """What one check found.

    Attributes:
        state: Whether the condition held.
        detail: What was found.
        effect: How a failed check may bend the result: in which direction, and how far.
        fix: The option or command that makes it hold, or that makes the answer known.
        again: Another capture by attrib can make it known; else a capture by attrib says what there is to say.
    """

    state: CheckState
    detail: str
    effect: str = ""
    fix: str = ""
    again: bool = False


def passed(detail: str) -> Answer:
    """The answer of a check whose condition holds."""
    return Answer("passed", detail)


def failed(detail: str, effect: str, fix: str) -> Answer:
    """The answer of a check whose condition does not hold."""
    return Answer("failed", detail, effect, fix)


def unknown(detail: str = NOT_RECORDED, fix: str = RECORD, *, again: bool = False) -> Answer:
    """The answer of a check that the evidence does not decide.

    Args:
        detail: What is not known.
        fix: What a recording of somebody else's lacks.
        again: It also helps where attrib captured: another capture, or a file that is missing.
    """
    return Answer("unknown", detail, fix=fix, again=again)


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """The evidence as the checks read it: only sides that ran to the end."""

    evidence: Evidence

    @property
    def manifest(self) -> Manifest | None:
        """What the capture says of itself."""
        return self.evidence.manifest

    @property
    def is_of_another_version(self) -> bool:
        """Whether another version of attrib captured it, which may have noted less."""
        return self.manifest is not None and self.manifest.attrib_version != __version__

    @property
    def sides(self) -> Mapping[Role, Side]:
        """The sides that ran to the end."""
        every: Mapping[Role, Side] = self.manifest.sides if self.manifest else {}
        return {role: side for role, side in every.items() if side.state == "complete"}

    def setting(self, role: Role, key: str) -> str:
        """A setting of one side in lower case; empty where it was not recorded."""
        side = self.sides.get(role)
        return side.settings.get(key, "").lower() if side else ""

    @property
    def on_gpu(self) -> bool:
        """Whether ONNX Runtime's session has a provider of NVIDIA's."""
        side = self.sides.get("onnxruntime")
        return side is not None and uses_cuda(side.providers)


_ON, _OFF = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


def is_on(setting: str) -> bool:
    """Whether a recorded setting, in lower case, says yes."""
    return setting in _ON


def is_off(setting: str) -> bool:
    """Whether a recorded setting, in lower case, says no."""
    return setting in _OFF
