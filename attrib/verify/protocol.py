"""What an experiment is: a change of the options of a capture, with the saving that the profile predicts.

Because a change is nothing but other options, every experiment can be repeated with `attrib profile`, and several can be
stacked.
"""

from collections.abc import Callable
from dataclasses import dataclass

from attrib.analysis.provenance import Chain
from attrib.findings.protocol import Evidence
from attrib.model.capture_options import CaptureOptions
from attrib.model.experiment import Prediction
from attrib.model.manifest import Manifest, Role
from attrib.model.provenance import RegionTrail


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentContext:
    """Everything that an experiment may look at before it is run.

    Attributes:
        options: The options of the original capture.
        manifest: What the capture says of itself.
        evidence: What the rules read.
        chain: The captured graphs and what turned each into the next.
        trails: What is behind each region, e.g. which optimizer wrote a node.
    """

    options: CaptureOptions
    manifest: Manifest
    evidence: Evidence
    chain: Chain
    trails: tuple[RegionTrail, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One change of the options, ready to be measured.

    Attributes:
        id: Unique among all variants; the experiment's own id, or that and what was chosen, e.g. `opset-23`.
        title: What is changed, e.g. `Export with opset 23`.
        options: The original's options with the change.
        predicted: What the profile says it saves; None where it cannot say.
        unpredicted: Why it is not predicted; empty where it is.
    """

    id: str
    title: str
    options: CaptureOptions
    predicted: Prediction | None = None
    unpredicted: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inapplicable:
    """Why an experiment would change nothing here."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One experiment, or a family of them.

    Attributes:
        id: Its name, as rules and `--experiment` have it.
        title: For a list, e.g. `Another graph optimization level`.
        about: What it does and what it can show, for `attrib verify --list`.
        side: Which engine it changes.
        variants: The changes that make sense in a context, or why there are none. Pure, and imports no engine.
        changes_numbers: Outputs may leave the tolerance of the original's precision: it is declared, and shown.
        packages: Distributions that must be installed, beyond attrib's own dependencies.
        flags: What it adds to `attrib profile`, for a list, e.g. `--opset N`.
        basis: What its prediction rests on, or why there is none, for a list; one phrase.
    """

    id: str
    title: str
    about: str
    side: Role
    variants: Callable[[ExperimentContext], tuple[Variant, ...] | Inapplicable]
    changes_numbers: bool = False
    packages: tuple[str, ...] = ()
    flags: str = ""
    basis: str = ""
