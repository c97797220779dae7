"""What a rule is: its titles, the evidence that it needs, and one pure function that reads the evidence."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import msgspec

from attrib.analysis.lineage.graph import Graph
from attrib.model.document import Cause, EvidenceRow, Judgement, Latency, LedgerRow, MachineState
from attrib.model.estimate import Delta
from attrib.model.manifest import EXPORTED, OPTIMIZED, PARTITIONED, Manifest, OutputDifference, Role, Side
from attrib.model.placement import Placement
from attrib.model.region import Region
from attrib.model.values import GraphValue
from attrib.model.work import Partition, Work

Need = Literal[
    "delta", "manifest", "partitions", "regions", "exported", "optimized", "outputs", "plain", "nodes", "graph",
    "tokens", "device", "ran", "split",
]  # fmt: skip
"""Evidence that a directory may lack. A rule that needs what is missing is "not applicable", and says so."""

Tier = Literal["cause", "layer", "pattern", "remainder"]
TIERS: tuple[Tier, ...] = ("cause", "layer", "pattern", "remainder")
"""How general rules are, the narrowest first."""


class LedgerLike(Protocol):
    """The part of the ledger that rules read."""

    @property
    def rows(self) -> tuple[LedgerRow, ...]:
        """The rows of the ledger."""
        ...

    def total(self, ids: Iterable[str]) -> Delta:
        """Sum of the deltas of the named rows in ns, with the 95 % interval of that sum."""
        ...

    def work(self, role: Role, ids: Iterable[str]) -> Delta:
        """Time of the named calls or nodes on one side in ns, with the 95 % interval of that sum."""
        ...

    def weigh(self, weights: Mapping[Role, Mapping[str, float]]) -> Delta:
        """Time of calls and nodes, each times its weight, with the 95 % interval of that sum."""
        ...

    def without(self, rows: Collection[str], works: Collection[str]) -> "LedgerLike":
        """The ledger without the named rows, and without the named calls and nodes in the other rows."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything a rule may look at. What the directory lacks is None (or empty), never a guess.

    Attributes:
        ledger: The rows, and the interval of any sum of them.
        latency: The headline.
        manifest: What the capture says of itself; None for a directory that attrib did not capture.
        partitions: The profiled steps of each side.
        work: Calls and nodes by id, for each side.
        regions: Regions by id.
        graphs: The chain of graphs by file: as exported, after each rewrite, as it ran.
        outputs: How far the outputs differ.
        plain_ns: Plain steps of each side that count, one tuple a block.
        block_launches: The launch of each of those blocks; a side of one launch may be left out.
        warmup_ns: Steps before the first plain block, in order of time.
        launches: Launches of the engines' processes that the ledger's intervals know of.
        judgement: How far the measurement carries.
        machine: What the machine was like; None where it was not recorded.
        placement: Which provider took which nodes; None where the session did not say.
        input_free: Calls of PyTorch that depend on no input of the model; None where nobody watched.
        numbers: By value of the graph that ran, which of PyTorch's tensors hold the same numbers, where these were compared.
        memo: Results that several rules share. Whoever takes one checks that it belongs to the same graph and steps.
    """

    ledger: LedgerLike
    latency: Latency
    manifest: Manifest | None
    partitions: Mapping[Role, Partition]
    work: Mapping[Role, Mapping[str, Work]]
    regions: Mapping[str, Region]
    graphs: Mapping[str, Graph]
    outputs: tuple[OutputDifference, ...]
    plain_ns: Mapping[Role, tuple[tuple[int, ...], ...]]
    warmup_ns: Mapping[Role, tuple[int, ...]] = field(default_factory=dict)
    block_launches: Mapping[Role, tuple[int, ...]] = field(default_factory=dict)
    launches: int = 1
    judgement: Judgement = field(default_factory=Judgement)
    machine: MachineState | None = None
    placement: Placement | None = None
    input_free: frozenset[str] | None = None
    numbers: Mapping[str, GraphValue] = field(default_factory=dict)
    memo: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def side(self, role: Role) -> Side | None:
        """How one engine ran; None without a manifest, and for a side that was not captured."""
        return self.manifest.sides.get(role) if self.manifest else None

    @property
    def loaded(self) -> Graph | None:
        """The graph that the session opened: the last one before ONNX Runtime's own optimizations."""
        before = [graph for name, graph in self.graphs.items() if name not in (PARTITIONED, OPTIMIZED)]
        return before[-1] if before else None

    @property
    def exported(self) -> Graph | None:
        """The graph as exported."""
        return self.graphs.get(EXPORTED)

    @property
    def optimized(self) -> Graph | None:
        """The graph that ONNX Runtime ran."""
        return self.graphs.get(OPTIMIZED)

    @property
    def ran(self) -> Graph | None:
        """The graph that ONNX Runtime ran, else the last one captured, e.g. the one that a compiling provider was given."""
        graphs = tuple(self.graphs.values())
        return self.optimized or (graphs[-1] if graphs else None)


class RuleResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule found.

    Attributes:
        failed: The condition of the finding holds. The runner turns it into "passed" where the interval of the rows does
            not support it: a finding never claims more than its rows.
        rows: Ids of the ledger rows that the finding explains.
        claim: The time that the finding is about, where that is not the whole delta of its rows, e.g. that of some of
            their nodes. Never more than the rows take. None for the rows' own delta.
        explains_delta: The claim is part of the difference between the engines; False for time that both waste.
        works: Calls and nodes that it accounts for, where that is not all the work of its rows. Rules of a wider tier
            get a ledger without them.
        detail: Fills the `{}` of the failed title, e.g. `12 attention blocks`.
        summary: One or two sentences for the reader, with figures.
        price: A sentence about the claim, with `{}` for its time. The runner puts it behind the summary with the time that
            it holds the claim to, and leaves it out where that is not reliable: no rule prints a claim of its own.
        evidence: What it rests on.
        fix: The exact option, call or command that helps. Changes of the capture come from
            `attrib.findings.evidence.advice`, which looks at their preconditions.
        lacks: What the rule would have to know and the directory does not say; the rule is then not applicable.
    """

    failed: bool
    rows: tuple[str, ...] = ()
    claim: Delta | None = None
    explains_delta: bool = True
    works: tuple[str, ...] = ()
    detail: str = ""
    summary: str = ""
    price: str = ""
    evidence: tuple[EvidenceRow, ...] = msgspec.field(default=())
    fix: str = ""
    lacks: str = ""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule: its texts, what it needs, and the function that judges.

    Attributes:
        id: The failing state, and the name of its file with dashes, e.g. `layout-churn`.
        passed: Title when nothing was found, e.g. `No time is lost to layout changes`.
        failed: Title of the finding; `{}` is replaced by the result's detail.
        example: A made-up detail that fills the failed title, for `attrib rules`.
        about: What the rule looks for and why it matters, for `attrib rules`.
        cause: The ledger cause it explains; None for rules about the measurement.
        needs: Evidence without which it cannot answer.
        direction: `slower`: the rows must cost time in ONNX Runtime; `faster`: save it; `any`: either.
        audit: Judges the evidence. Pure: it changes nothing, and gives the same result for the same evidence.
        tier: How general it is. `cause`: it names one cause; `layer`: what one layer of the model became, with the moves
            that only it needs; `pattern`: a family of causes; `remainder`: whatever is left.
            A finding of a narrower tier takes its work out of the ledger that wider rules see, so that no time is
            explained twice.
        catalog: Entries of the cause catalog that it covers, e.g. `C13`.
        experiments: Ids of the experiments (or families of them) of `attrib verify` that prove it.
        unproved: Why no experiment can prove it, where there is none.
    """

    id: str
    passed: str
    failed: str
    example: str
    about: str
    cause: Cause | None
    needs: tuple[Need, ...]
    direction: Literal["slower", "faster", "any"]
    audit: Callable[[Evidence], RuleResult]
    tier: Tier = "pattern"
    catalog: tuple[str, ...] = ()
    experiments: tuple[str, ...] = ()
    unproved: str = ""

    @property
    def all_needs(self) -> tuple[Need, ...]:
        """Its needs; a rule that looks for time in the causes also needs a split that can be relied on."""
        return (*self.needs, "split") if self.cause is not None else self.needs

    @property
    def group(self) -> str:
        """The folder of `attrib.findings.rules` that its file lies in, e.g. `graph`."""
        return self.audit.__module__.split(".")[-2]
