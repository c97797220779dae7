"""How many threads each engine really computed with."""

from collections.abc import Mapping

from attrib.model.manifest import Manifest, Role


def threads_by_role(manifest: Manifest) -> Mapping[Role, int]:
    """Intra-op threads of the sides that ran to the end and noted them."""
    sides = manifest.sides.items()
    return {role: side.threads for role, side in sides if side.state == "complete" and side.threads}
