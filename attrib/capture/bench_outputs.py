"""How far a variant's outputs are from the baseline's, where it may have more of them, fewer, or others."""

from attrib.capture.differences import TOLERANCES, compare_outputs
from attrib.capture.inputs import Arrays
from attrib.model.manifest import OutputDifference

_SIDES = ("the baseline", "the variant")


def compared(
    baseline: Arrays, variant: Arrays, precisions: tuple[str, str]
) -> tuple[tuple[OutputDifference, ...], tuple[str, ...]]:
    """Compare what both have: by name, or by position where no name is shared and their number is the same.

    Args:
        baseline: Outputs by name.
        variant: Outputs by name.
        precisions: Of either side; the rougher one's tolerance applies.

    Returns:
        The differences, and what could not be compared.
    """
    precision = max(precisions, key=TOLERANCES.__getitem__)
    shared = [name for name in baseline if name in variant]
    notes = [f"{_SIDES[1]} has no output {name!r}" for name in baseline if name not in variant]
    notes += [f"{_SIDES[0]} has no output {name!r}" for name in variant if name not in baseline]
    if not shared and len(baseline) == len(variant):
        pairs = ", ".join(f"{own} with {other}" for own, other in zip(baseline, variant, strict=True))
        notes = [f"the outputs have other names and were compared by position: {pairs}"]
        return compare_outputs(baseline, variant, precision, _SIDES), tuple(notes)
    ours, theirs = ({name: side[name] for name in shared} for side in (baseline, variant))
    return compare_outputs(ours, theirs, precision, _SIDES), tuple(notes)
