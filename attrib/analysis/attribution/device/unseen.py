"""Steps whose kernels were not recorded although a device had the work: their times are those of enqueuing it."""

import msgspec

from attrib.model.execution_providers import asynchronous_of
from attrib.model.work import Partition
from attrib.traces.recording.recording import Recording

_LAUNCHES = ("Launch", "MemcpyAsync", "MemsetAsync")


def warn_unseen(partition: Partition, recording: Recording, device: Recording | None) -> Partition:
    """Add a warning to a partition whose times are no kernel times; any other is returned as it is.

    Args:
        partition: Steps as the host saw them.
        recording: The trace that they come from.
        device: The trace that was recorded for the device's work, and holds none.
    """
    if partition.engine == "torch":
        calls = recording.runtime_calls()
        launches = recording.has_name(calls, lambda name: any(part in name for part in _LAUNCHES)).sum()
        if not launches:
            return partition
        who: tuple[str, ...] = ("the device",)
        what = f"PyTorch's trace holds {launches:,} launches, but no kernel"
    else:
        who = tuple(sorted(asynchronous_of(work.provider for work in partition.work)))
        if not who:
            return partition
        what = f"ONNX Runtime's nodes ran on {', '.join(who)}, but no kernel was recorded"
    empty = ", and the trace around the runs holds none either" if device is not None else ""
    text = f"{what}{empty}: their times are enqueue time, not kernel time"
    return msgspec.structs.replace(partition, unseen=who, warnings=(*partition.warnings, text))
