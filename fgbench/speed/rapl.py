"""Energy of the processor from its own counters (RAPL: Running Average Power Limit), as Linux shows them."""

from pathlib import Path

from fgbench.util.gpu_board import hardware_error

POWERCAP = Path("/sys/class/powercap")
"""Folder of the counters. Processors of Intel and AMD are both named `intel-rapl` there."""


class ProcessorEnergy:
    """The energy counters of all processor packages. They include whatever else runs on the processors.

    Args:
        folder: Folder of the counters.

    Raises:
        MissingError: There is no counter, or it cannot be read.
    """

    name = "processor packages"

    def __init__(self, folder: Path = POWERCAP) -> None:
        zones = sorted(folder.glob("intel-rapl:*"))
        self._packages = [zone for zone in zones if _read(zone / "name").startswith("package")]
        if not self._packages:
            raise hardware_error(f"this machine shows no energy counter of its processor in {folder}")
        self._ranges_uj = [int(_read(package / "max_energy_range_uj")) for package in self._packages]
        self._last_uj = self._counts_uj()
        self._total_uj = 0

    def energy_j(self) -> float:
        """Return the energy in joules since the counters were opened. A counter begins anew after its largest value."""
        counts_uj = self._counts_uj()
        for count, last, largest in zip(counts_uj, self._last_uj, self._ranges_uj, strict=True):
            self._total_uj += count - last if count >= last else count - last + largest
        self._last_uj = counts_uj
        return self._total_uj / 1e6

    def state(self) -> None:
        """Return None: the clocks of the processor are not recorded."""

    def check_alone(self) -> None:
        """Accept every state: something else always runs on a processor."""

    def _counts_uj(self) -> list[int]:
        return [int(_read(package / "energy_uj")) for package in self._packages]


def _read(file: Path) -> str:
    """Return the content of a file of a counter.

    Raises:
        MissingError: The file cannot be read. Linux lets only the administrator read the energy.
    """
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError as error:
        raise hardware_error(f"the energy counter {file} cannot be read: {error.strerror}") from error
