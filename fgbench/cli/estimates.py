"""Rates of a machine, and estimated costs of runs, for `--dry-run` and `--within`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from fgbench.cli.chosen_device import device_of
from fgbench.records.run_cost import Expected
from fgbench.runs.run import THREADS
from fgbench.speed.machine_rates import ASSUMED_HOST, DeviceRates, HostRates, gpu_rates, measure_device, measure_host
from fgbench.util.errors import FgbenchError
from fgbench.util.processes import in_own_process


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates of the machine for which costs are estimated."""

    device: DeviceRates
    host: HostRates

    @classmethod
    def of(cls, profile: str, results: Path, *, has_gpu: bool, gpu: str | None = None, bf16: bool = False) -> Self:
        """Return the published rates of a GPU, or measure this machine.

        Args:
            profile: name of a profile, not `auto`.
            results: results folder, on the disk that is measured.
            has_gpu: True if the runs use a GPU.
            gpu: name of published rates; None for this machine.
            bf16: True if a run uses bfloat16.

        Raises:
            FgbenchError: the GPU is unknown.
        """
        if gpu is not None:
            return cls(gpu_rates(gpu), ASSUMED_HOST)
        device = device_of(profile, has_gpu=has_gpu)
        return cls(_measured(device, THREADS[profile], bf16), measure_host(results))


def _measured(device: str, threads: int, bf16: bool) -> DeviceRates:
    """Measure a device. A GPU is measured in a process of its own, whose memory is free again for the runs."""
    if device == "cpu":
        return measure_device(device, threads, bf16)
    return in_own_process("measures the GPU", measure_device, device, threads)


def estimated(compute: Callable[[], Expected | None]) -> tuple[Expected | None, str]:
    """Return an estimate and an empty text, or None and the reason why there is none."""
    try:
        expected = compute()
    except FgbenchError as error:
        return None, str(error.args[0])
    return expected, "" if expected else "the number of images is not known"
