"""What a device did for the profiled steps of one engine: in all, and for each unit of work."""

from collections.abc import Mapping
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]

Spent = Literal["kernel", "copy", "sync", "allocation", "host", "idle"]
"""How an instant that a call or node owns was spent:

`kernel`      its kernels ran
`copy`        its copies and memsets ran
`sync`        the device had nothing to do, and the host was in a call that waits for it
`allocation`  the device had nothing to do, and the host was allocating or freeing memory
`host`        the device had nothing to do, and the host computed the node itself (a provider of the processor)
`idle`        the device had nothing to do: the host was still preparing the launch, or the launch was on its way
"""

SPENT: tuple[Spent, ...] = ("kernel", "copy", "sync", "allocation", "host", "idle")

Direction = Literal["HtoD", "DtoH", "DtoD", "PtoP", "HtoH", "memset", "other"]
CopyCause = Literal["node", "call", "input", "output", "elsewhere"]


class DeviceUse(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """What the device did for each profiled step, int64 `[steps]`, nanoseconds; raw, so that anyone can recompute it.

    Attributes:
        busy_ns: Time in which it did anything (union over streams).
        kernels_ns: Sum of its kernels.
        copies_ns: Sum of its copies and memsets.
        kernels: How many kernels.
        walls_ns: Wall time of the step on the host.
    """

    busy_ns: Int64s
    kernels_ns: Int64s
    copies_ns: Int64s
    kernels: Int64s
    walls_ns: Int64s


class CopyUse(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """Copies (or memsets) of one direction that one owner caused; int64 `[steps]`.

    Attributes:
        direction: From where to where.
        cause: A copy node, a call, an input or an output of the session, or nothing that the trace names.
        owner: Id of the unit of work, or name of the part, that launched it.
        launch: The runtime call that launched it; empty where the trace holds none.
        sync: The synchronizing call of the same owner that followed; empty where none did.
        count: How many.
        ns: Sum of their durations, nanoseconds.
        bytes: Sum of their sizes; 0 where the trace does not say.
    """

    direction: Direction
    cause: CopyCause
    owner: str
    launch: str
    sync: str
    count: Int64s
    ns: Int64s
    bytes: Int64s


class DeviceSplit(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """How the wall time that each unit of work owns was spent, and what its kernels sum to.

    Attributes:
        work_ns: By kind, int64 `[len(work), steps]`: shares of the wall, whose sum over the kinds is `Partition.work_ns`.
        busy_ns: int64 `[steps]`, time of the step in which its own work ran on the device (union over streams, clipped to
            the step). The kernels and copies of all owners sum to it.
        idle_ns: int64 `[steps]`, the rest of the step.
        kernels_ns: int64 `[len(work), steps]`, sum of the durations of each unit's kernels: no share of the wall.
        kernels: int64 `[len(work), steps]`, how many.
        names: Distinct names of each unit's kernels in the first step, in order of launch.
        copies: The copies and memsets.
    """

    work_ns: Mapping[Spent, Int64s]
    busy_ns: Int64s
    idle_ns: Int64s
    kernels_ns: Int64s
    kernels: Int64s
    names: tuple[tuple[str, ...], ...]
    copies: tuple[CopyUse, ...] = ()
