"""Small examples: modules of a few lines, each of which an exporter and an optimizer treat in a way worth seeing.

The modules themselves are in `attrib.zoo.modules`, which imports torch.
"""

import msgspec

EXAMPLE_BATCH = 64
"""Rows of an example's batch where none is asked for: with one row, calling the engines is all that is measured."""


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One small example.

    Attributes:
        name: What `--model` calls it.
        about: What it shows.
    """

    name: str
    about: str


_ROWS = (
    Example(
        name="matrix-in-forward",
        about="multiplies its input by a matrix that `forward` computes anew on every call",
    ),
    Example(
        name="two-linears",
        about="two linear layers in a row, 100 -> 200 -> 100",
    ),
    Example(
        name="two-branches",
        about="two linear branches, 256 -> 128, chosen by an attribute of the module: a trace sees one of them",
    ),
    Example(
        name="two-branches-if",
        about="the same two branches, chosen by a tensor: exported as an `If` that holds both",
    ),
    Example(
        name="two-branches-where",
        about="the same two branches, both computed, one of the results kept by `torch.where`",
    ),
)

EXAMPLES: dict[str, Example] = {row.name: row for row in _ROWS}
"""Every small example by name."""
