"""The speeds of a session, and their rows with the bound of the device."""

from fgbench.speed.bench_rows import FramesRow
from fgbench.speed.method_speed import MethodSpeed
from fgbench.speed.roofline import Rates, bound
from fgbench.speed.workloads import with_bound


class SpeedSheet:
    """The speeds of a session.

    Other load on a machine lowers its measured rates. The bound of every row therefore uses the best rates that were
    measured beside any row of the device.
    """

    def __init__(self) -> None:
        self._speeds: list[MethodSpeed] = []

    def add(self, speed: MethodSpeed) -> None:
        """Add the speed of one method under one kind of conditions."""
        self._speeds.append(speed)

    def rows(self) -> list[FramesRow]:
        """Return the rows, in the order in which they were added, with their bounds."""
        return [self._bounded(speed) for speed in self._speeds]

    def _bounded(self, speed: MethodSpeed) -> FramesRow:
        """Return a row with its bound; without for decoding and training, whose operations are not all counted."""
        row = speed.row
        if row.decode or row.task != "recognition":
            return row
        same = [other.rates for other in self._speeds if _device(other.row) == _device(row)]
        rates = Rates(max(rate.flop_per_s for rate in same), max(rate.bytes_per_s for rate in same))
        return with_bound(row, bound(speed.need, rates, row.batch, speed.kind.dtype), rates)


def _device(row: FramesRow) -> tuple[str, str, str]:
    return row.device_type, row.device, row.dtype
