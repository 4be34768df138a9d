"""Energy of GPU boards by NVML's counter: the board's, not the wall's. Where there is no counter, the reason."""

import importlib
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from fgbench.errors import MissingError
from fgbench.statistics import mean_interval

RUN_S, RUNS = 20.0, 3
"""Length and number of the runs of a measurement."""
SENSOR_S = 0.1
"""The power sensors of A100 and H100 look at 25 ms of every 100 ms (Yang, Adamek and Armour, SC 2024): runs begin at
other places of this period, so that what a step does periodically is not seen at the same place always."""
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


@dataclass(frozen=True, slots=True)
class Energy:
    """What a piece of work costs in energy of the GPU's board; the rest of the machine is not in it."""

    board: str
    joule_per_image: float
    """Mean over the runs."""
    joule_low: float
    """Lower end of the 95 % interval over the runs."""
    joule_high: float
    power_w: float
    """Mean over the runs."""
    runs: int
    run_s: float
    """Mean length of a run."""
    sm_mhz: tuple[int, int]
    """Least and most that were seen: before, in the middle of and after each run."""
    memory_mhz: tuple[int, int]
    held_down_before: tuple[str, ...]
    """Why the clocks were lower than they could be before the first run."""
    held_down_since: tuple[str, ...]
    """The same during and after the runs."""


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
            raise _missing(f"{programs} programs used {self.name}, whose counter does not tell them apart")

    @contextmanager
    def _explained(self, reason: str) -> Iterator[None]:
        try:
            yield
        except self._nvml.NVMLError as error:
            raise _missing(f"{reason} ({error})") from error


def board_of(device: torch.device, nvml: Any = None) -> Board:
    """The board of a CUDA device.

    Raises:
        MissingError: it is no CUDA device, or see `Board`.
    """
    if device.type != "cuda":
        raise _missing("no GPU was used")
    if nvml is None:
        try:
            nvml = importlib.import_module("pynvml")
        except ImportError as error:
            raise _missing("nvidia-ml-py is not installed") from error
    return Board(str(torch.cuda.get_device_properties(device).uuid), nvml)


def used_j(board: Board, before_j: float, after_j: float) -> float:
    """What a board used between two readings of its counter.

    Raises:
        MissingError: the counter went back, which it does when the driver is loaded anew.
    """
    if after_j < before_j:
        raise _missing(f"the counter of {board.name} went back from {before_j:.0f} J to {after_j:.0f} J")
    return after_j - before_j


def measure_energy(
    work: Callable[[], object],
    images: int,
    step_s: float,
    board: Board,
    *,
    runs: int = RUNS,
    run_s: float = RUN_S,
    synchronize: Callable[[], object] = torch.cuda.synchronize,
    sleep: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.perf_counter,
) -> Energy:
    """Do a piece of work for long, several times, and read the board's counter before and after.

    Args:
        work: what is done again and again; already warm.
        images: how many images it does at once.
        step_s: about how long it takes.
        board: what it runs on.
        runs: how often; two at least.
        run_s: how long each time.
        synchronize: waits until the device has done all.
        sleep: waits; for the tests.
        clock: tells the time in seconds.

    Raises:
        MissingError: the board is shared with other programs, or its counter stood still or went back.
    """
    steps = math.ceil(run_s / step_s)
    spent, lengths, states = [], [], [board.state()]
    for number in range(runs):
        sleep(number * SENSOR_S / runs)
        board.check_alone()
        synchronize()
        before, start = board.energy_j(), clock()
        for step in range(steps):
            work()
            if step == steps // 2:
                states.append(board.state())
        synchronize()
        lengths.append(clock() - start)
        joule = used_j(board, before, board.energy_j())
        if joule == 0:
            raise _missing(f"the counter of {board.name} stood still for {lengths[-1]:.0f} s")
        spent.append(joule)
        states.append(board.state())
        board.check_alone()
    each = [joule / (steps * images) for joule in spent]
    low, high = mean_interval(each)
    since = {reason: None for state in states[1:] for reason in state.held_down_by}
    return Energy(
        board=board.name,
        joule_per_image=sum(each) / runs,
        joule_low=low,
        joule_high=high,
        power_w=sum(spent) / sum(lengths),
        runs=runs,
        run_s=sum(lengths) / runs,
        sm_mhz=(min(state.sm_mhz for state in states), max(state.sm_mhz for state in states)),
        memory_mhz=(min(state.memory_mhz for state in states), max(state.memory_mhz for state in states)),
        held_down_before=states[0].held_down_by,
        held_down_since=tuple(since),
    )


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


def _missing(reason: str) -> MissingError:
    return MissingError("hardware", reason)
