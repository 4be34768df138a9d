"""Rates of a machine, and estimated costs of runs, for `--dry-run` and `--within`."""

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Self

from fgbench.cli.chosen_device import device_of
from fgbench.records.run_cost import Expected
from fgbench.runs.run import THREADS
from fgbench.speed.machine_rates import ASSUMED_HOST, DeviceRates, HostRates, gpu_rates, measure_device, measure_host
from fgbench.util.errors import FgbenchError


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates of the machine for which costs are estimated."""

    device: DeviceRates
    host: HostRates

    @classmethod
    def of(
        cls, profile: str, results: Path, *, has_gpu: bool, gpu: str | None = None, precisions: Iterable[str] = ()
    ) -> Self:
        """Return the published rates of a GPU, or measure this machine.

        Args:
            profile: name of a profile, not `auto`.
            results: results folder, on the disk that is measured.
            has_gpu: True if the runs use a GPU.
            gpu: name of published rates; None for this machine.
            precisions: precisions of the runs.

        Raises:
            FgbenchError: the GPU is unknown.
        """
        if gpu is not None:
            return cls(gpu_rates(gpu), ASSUMED_HOST)
        device = device_of(profile, has_gpu=has_gpu)
        return cls(_measured(device, THREADS[profile], "bf16-mixed" in precisions), measure_host(results))


def _measured(device: str, threads: int, bf16: bool) -> DeviceRates:
    """Measure a device. A GPU is measured in a process of its own, whose memory is free again for the runs."""
    if device == "cpu":
        return measure_device(device, threads, bf16)
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(measure_device, device, threads).result()


def estimated(compute: Callable[[], Expected | None]) -> tuple[Expected | None, str]:
    """Return an estimate and an empty text, or None and the reason why there is none."""
    try:
        expected = compute()
    except FgbenchError as error:
        return None, str(error.args[0])
    return expected, "" if expected else "the number of images is not known"
