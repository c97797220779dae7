"""Whether a worker that should be idle really is: thread pools spin for a while after their last work."""

import time

_SLICE_S = 0.005
_LIMIT_S = 0.25
_QUIET_SHARE = 0.05


class IdleMeter:
    """Processor time of this process between one reply and the next command."""

    def __init__(self) -> None:
        self.cpu_ns = 0
        self.wall_ns = 0
        self._since = (0, 0)

    def start(self) -> None:
        """The worker has nothing to do from now on."""
        self._since = (time.process_time_ns(), time.perf_counter_ns())

    def stop(self) -> None:
        """A command has come: `cpu_ns` and `wall_ns` are those of the idle time that ends here."""
        cpu, wall = self._since
        self.cpu_ns, self.wall_ns = time.process_time_ns() - cpu, time.perf_counter_ns() - wall

    def settle(self) -> None:
        """Wait until the engine's pools have stopped spinning, so that the other engine gets the cores.

        ONNX Runtime's pool was measured to spin for some 40 ms after a run. To forbid the spinning would change the
        speed that is measured, so it is waited for instead.
        """
        deadline = time.perf_counter() + _LIMIT_S
        while time.perf_counter() < deadline:
            cpu, wall = time.process_time(), time.perf_counter()
            time.sleep(_SLICE_S)
            if time.process_time() - cpu < _QUIET_SHARE * (time.perf_counter() - wall):
                return
