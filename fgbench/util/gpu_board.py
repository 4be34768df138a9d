"""Energy of GPU boards by NVML's counter: the board's, not the wall's. Where there is no counter, the reason."""

import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch

from fgbench.util.errors import MissingError

IDLE = 0x1
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
"""NVML's reasons for clocks below what they could be; that a board is idle is none."""


class BoardState(NamedTuple):
    """What a board says of itself at one moment."""

    sm_mhz: int
    memory_mhz: int
    held_down_by: tuple[str, ...]
    """Why the clocks are lower than they could be."""


class Board:
    """One GPU board.

    Args:
        uuid: of the device as CUDA gives it, with or without `GPU-`: so it is the right one whatever
            CUDA_VISIBLE_DEVICES says and in whatever order.
        nvml: the module `pynvml`.

    Raises:
        MissingError: there is no NVML or no such board, or it does not count its energy.
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
        """What the counter shows, since the driver was loaded."""
        with self._explained(f"{self.name} does not count its energy"):
            return float(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) / 1000

    def state(self) -> BoardState:
        """Clocks, and what holds them down."""
        nvml, handle = self._nvml, self._handle
        with self._explained(f"{self.name} does not tell its clocks"):
            sm, memory = (nvml.nvmlDeviceGetClockInfo(handle, k) for k in (nvml.NVML_CLOCK_SM, nvml.NVML_CLOCK_MEM))
            try:
                bits = nvml.nvmlDeviceGetCurrentClocksEventReasons(handle)
            except nvml.NVMLError:  # drivers before 535 have it under another name
                bits = nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)
        known = tuple(word for bit, word in HELD_DOWN.items() if bits & bit)
        other = bits & ~(sum(HELD_DOWN) | IDLE)
        return BoardState(int(sm), int(memory), (*known, hex(other)) if other else known)

    def check_alone(self) -> None:
        """Raise MissingError when several programs compute on the board: one counter does not tell them apart."""
        try:
            programs = len(self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle))
        except self._nvml.NVMLError:
            return  # not every driver tells
        if programs > 1:
            raise missing(f"{programs} programs used {self.name}, whose counter does not tell them apart")

    @contextmanager
    def _explained(self, reason: str) -> Iterator[None]:
        try:
            yield
        except self._nvml.NVMLError as error:
            raise missing(f"{reason} ({error})") from error


def board_of(device: torch.device, nvml: Any = None) -> Board:
    """The board of a CUDA device.

    Raises:
        MissingError: it is no CUDA device, or see `Board`.
    """
    if device.type != "cuda":
        raise missing("no GPU was used")
    if nvml is None:
        try:
            nvml = importlib.import_module("pynvml")
        except ImportError as error:
            raise missing("nvidia-ml-py is not installed") from error
    return Board(str(torch.cuda.get_device_properties(device).uuid), nvml)


def used_j(board: Board, before_j: float, after_j: float) -> float:
    """What a board used between two readings of its counter.

    Raises:
        MissingError: the counter went back, which it does when the driver is loaded anew.
    """
    if after_j < before_j:
        raise missing(f"the counter of {board.name} went back from {before_j:.0f} J to {after_j:.0f} J")
    return after_j - before_j


class Meter:
    """What the boards of a run use, phase by phase, for its record.

    Args:
        boards: all that the run computes on.
        note: why there are none.

    Attributes:
        note: why there is no number; empty while there is one. Once it is lost, it stays so.
    """

    def __init__(self, boards: Sequence[Board], note: str = "") -> None:
        self._boards, self.note = tuple(boards), note

    @classmethod
    def of(cls, device: str, processes: int = 1, nvml: Any = None) -> "Meter":
        """The meter of a run on `cpu` or `cuda`, alone or as several processes with a GPU each."""
        local = int(os.environ.get("LOCAL_WORLD_SIZE", str(processes)))
        if device == "cuda" and local < processes:
            return cls((), "GPUs of other machines were used as well")
        try:
            return cls([board_of(torch.device(device, number), nvml) for number in range(local)])
        except MissingError as error:
            return cls((), error.args[0])

    def start(self) -> Callable[[], float]:
        """Begin a phase; what is returned ends it, and gives the joules used, or 0 once there is a `note`."""
        before = self._read()

        def end() -> float:
            after = self._read()
            try:
                pairs = zip(self._boards, before, after, strict=True) if not self.note else ()
                return sum(used_j(*pair) for pair in pairs)
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


def missing(reason: str) -> MissingError:
    """The error that says why energy cannot be measured."""
    return MissingError("hardware", reason)
