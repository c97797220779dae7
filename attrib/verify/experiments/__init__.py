"""The experiments, one file each (or one a family); `EXPERIMENTS` lists them. Importing them imports no engine."""

from attrib.verify.experiments.another_exporter import EXPERIMENT as EXPORTER
from attrib.verify.experiments.attention import EXPERIMENT as ATTENTION
from attrib.verify.experiments.claimed_rewrites import EXPERIMENTS as CLAIMED_REWRITES
from attrib.verify.experiments.compressions import EXPERIMENTS as COMPRESSIONS
from attrib.verify.experiments.disabled_optimizer import EXPERIMENT as DISABLED_OPTIMIZER
from attrib.verify.experiments.inverse_pairs import EXPERIMENT as INVERSE_PAIRS
from attrib.verify.experiments.io_binding import EXPERIMENT as IO_BINDING
from attrib.verify.experiments.kept_memory import EXPERIMENTS as KEPT_MEMORY
from attrib.verify.experiments.lower_precision import EXPERIMENTS as LOWER_PRECISION
from attrib.verify.experiments.offline_rewrites import EXPERIMENTS as OFFLINE_REWRITES
from attrib.verify.experiments.opset import EXPERIMENT as OPSET
from attrib.verify.experiments.opt_level import EXPERIMENT as OPT_LEVEL
from attrib.verify.experiments.session import EXPERIMENTS as SESSION
from attrib.verify.experiments.static_shapes import EXPERIMENT as STATIC_SHAPES
from attrib.verify.experiments.threads import EXPERIMENTS as THREADS
from attrib.verify.experiments.torch_modes import EXPERIMENTS as TORCH_MODES
from attrib.verify.protocol import Experiment

EXPERIMENTS: tuple[Experiment, ...] = (
    OPT_LEVEL,
    DISABLED_OPTIMIZER,
    *OFFLINE_REWRITES,
    EXPORTER,
    OPSET,
    ATTENTION,
    STATIC_SHAPES,
    INVERSE_PAIRS,
    *CLAIMED_REWRITES,
    *THREADS,
    *SESSION,
    IO_BINDING,
    *KEPT_MEMORY,
    *LOWER_PRECISION,
    *COMPRESSIONS,
    *TORCH_MODES,
)
"""All experiments: of the graph first, then of the session, then those that change the numbers, then of PyTorch."""

GENERAL: dict[str, str] = {
    "fp16": "shows what fewer bits could save; that a model computes in float32 is no finding",
    "bf16": "shows what fewer bits could save; that a model computes in float32 is no finding",
    **{
        one.id: "shows what a smaller model could save; that a model is whole is no finding"
        for one in COMPRESSIONS
    },
}
"""Experiments that no rule names, because they prove no finding, and what they are for."""
