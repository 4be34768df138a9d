"""Energy and clocks of GPU boards from NVML. The energy is that of the board, not of the whole machine."""

import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch

from fgbench.util.errors import MissingError

IDLE = 0x1
"""Bit of NVML for an idle board; an idle board is not counted as held down."""
HELD_DOWN = {
    0x2: "clocks set by the user",
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x10: "synchronised boost",
    0x20: "heat (software)",
    0x40: "heat (hardware)",
    0x80: "power brake",
    0x100: "clocks for a display",
}
"""Bits of NVML for reasons why the clocks are below their maximum."""


class BoardState(NamedTuple):
    """Clocks of a board at one moment."""

    sm_mhz: int
    """Clock of the multiprocessors."""
    memory_mhz: int
    """Clock of the memory."""
    held_down_by: tuple[str, ...]
    """Reasons why the clocks are below their maximum."""


class Board:
    """One GPU board.

    Args:
        uuid: UUID of the device from CUDA, with or without `GPU-`. Unlike a number, it does not depend on
            CUDA_VISIBLE_DEVICES.
        nvml: the module `pynvml`.

    Raises:
        MissingError: NVML does not start, or the board does not exist or does not count its energy.
    """

    def __init__(self, uuid: str, nvml: Any) -> None:
        self._nvml = nvml
        self.uuid = uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"
        with self._explained("NVML does not start"):
            nvml.nvmlInit()
        with self._explained(f"NVML has no board {self.uuid}; of a slice (MIG) the energy is not counted"):
            self._handle = nvml.nvmlDeviceGetHandleByUUID(self.uuid)
            self.name = str(nvml.nvmlDeviceGetName(self._handle))
        self.energy_j()

    def energy_j(self) -> float:
        """Return the energy in joules since the driver was loaded."""
        with self._explained(f"{self.name} does not count its energy"):
            return float(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) / 1000

    def state(self) -> BoardState:
        """Return the present clocks, and the reasons why they are below their maximum."""
        nvml, handle = self._nvml, self._handle
        with self._explained(f"{self.name} does not report its clocks"):
            sm, memory = (nvml.nvmlDeviceGetClockInfo(handle, k) for k in (nvml.NVML_CLOCK_SM, nvml.NVML_CLOCK_MEM))
            try:
                bits = nvml.nvmlDeviceGetCurrentClocksEventReasons(handle)
            except nvml.NVMLError:  # drivers before 535 use another name
                bits = nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)
        reasons = tuple(reason for bit, reason in HELD_DOWN.items() if bits & bit)
        unknown_bits = bits & ~(sum(HELD_DOWN) | IDLE)
        return BoardState(int(sm), int(memory), (*reasons, hex(unknown_bits)) if unknown_bits else reasons)

    def check_alone(self) -> None:
        """Raise MissingError if several programs compute on the board, because the counter adds up their energy."""
        try:
            programs = len(self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle))
        except self._nvml.NVMLError:
            return  # not every driver lists programs
        if programs > 1:
            raise hardware_error(f"{programs} programs used {self.name}, and its counter adds up their energy")

    @contextmanager
    def _explained(self, reason: str) -> Iterator[None]:
        try:
            yield
        except self._nvml.NVMLError as error:
            raise hardware_error(f"{reason} ({error})") from error


def board_of(device: torch.device, nvml: Any = None) -> Board:
    """Return the board of a CUDA device.

    Raises:
        MissingError: it is not a CUDA device, `nvidia-ml-py` is not installed, or `Board` raises it.
    """
    if device.type != "cuda":
        raise hardware_error("no GPU was used")
    return Board(str(torch.cuda.get_device_properties(device).uuid), nvml or _nvml())


def driver_version(nvml: Any = None) -> str | None:
    """Return the version of the NVIDIA driver; None if NVML does not tell it."""
    try:
        nvml = nvml or _nvml()
    except MissingError:
        return None
    try:
        nvml.nvmlInit()
        return str(nvml.nvmlSystemGetDriverVersion())
    except nvml.NVMLError:
        return None


def _nvml() -> Any:
    try:
        return importlib.import_module("pynvml")
    except ImportError as error:
        raise hardware_error("nvidia-ml-py is not installed") from error


def used_j(name: str, before_j: float, after_j: float) -> float:
    """Return the energy in joules between two readings of a counter, such as that of the board `name`.

    Raises:
        MissingError: the counter went back, because the driver was loaded again.
    """
    if after_j < before_j:
        raise hardware_error(f"the counter of {name} went back from {before_j:.0f} J to {after_j:.0f} J")
    return after_j - before_j


class Meter:
    """Energy that the boards of a run use in each phase.

    Args:
        boards: all boards on which the run computes.
        note: the reason if there are none.

    Attributes:
        note: the reason why the energy is not measured; empty if it is. After a failed reading it stays set.
    """

    def __init__(self, boards: Sequence[Board], note: str = "") -> None:
        self._boards, self.note = tuple(boards), note

    @classmethod
    def of(cls, device: str, processes: int = 1, nvml: Any = None) -> "Meter":
        """Return the meter of a run.

        Args:
            device: `cpu` or `cuda`.
            processes: number of processes of the run, each with a GPU.
            nvml: the module `pynvml`; replaced in tests.
        """
        local = int(os.environ.get("LOCAL_WORLD_SIZE", str(processes)))
        if device == "cuda" and local < processes:
            return cls((), "GPUs of other machines were used as well")
        try:
            return cls([board_of(torch.device(device, number), nvml) for number in range(local)])
        except MissingError as error:
            return cls((), error.args[0])

    def start(self) -> Callable[[], float]:
        """Start a phase.

        Returns:
            A function that ends the phase and returns its energy in joules, or 0 if `note` is set.
        """
        before = self._read()

        def end() -> float:
            after = self._read()
            try:
                readings = zip(self._boards, before, after, strict=True) if not self.note else ()
                return sum(used_j(board.name, *ends) for board, *ends in readings)
            except MissingError as error:
                self.note = error.args[0]
                return 0.0

        return end

    def _read(self) -> list[float]:
        if self.note:
            return []
        try:
            for board in self._boards:
                board.check_alone()
            return [board.energy_j() for board in self._boards]
        except MissingError as error:
            self.note = error.args[0]
            return []


def hardware_error(reason: str) -> MissingError:
    """Return the error with the reason why the energy cannot be measured."""
    return MissingError("hardware", reason)
