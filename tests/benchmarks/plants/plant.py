"""What a plant is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from attrib.model.document import Cause
from attrib.model.manifest import Role
from plants.edit import Editing

EVERYWHERE = ("",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """One cause, planted in one place at one size.

    Attributes:
        name: Its name on the command line.
        kind: What is planted, for the reader; plants of one kind differ in place and size.
        place: Where, and how much of it.
        side: The engine that it slows down.
        findings: Ids of the rules that may name it; any of them is right.
        causes: Causes of the ledger that its time belongs to: where it lands, and where the work was counted before.
        where: Modules whose rows it may change, with everything inside them; the empty name is every row.
        edit: Plants it in the exported graph.
        factory: Plants it in PyTorch, or in the inputs: a function of `modules`.
        baseline: The factory that it is compared with.
        options: Other capture options of the planted pair.
        adds: Ops that ONNX Runtime must execute more often than without the plant, else the plant is void.
        changes_numbers: It is not expected to keep the outputs.
    """

    name: str
    kind: str
    place: str
    side: Role = "onnxruntime"
    findings: tuple[str, ...]
    causes: tuple[Cause, ...]
    where: tuple[str, ...]
    edit: Callable[[Editing], None] | None = None
    factory: str = ""
    baseline: str = "plain"
    options: Mapping[str, Any] = field(default_factory=dict)
    adds: Mapping[str, int] = field(default_factory=dict)
    changes_numbers: bool = False
