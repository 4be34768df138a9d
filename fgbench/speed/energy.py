"""Energy per image on a GPU, from the energy counter of the board."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from fgbench.statistics import mean_interval
from fgbench.util.gpu_board import Board, hardware_error, used_j

RUN_S = 20.0
"""Length of a run of a measurement, in seconds."""
RUNS = 3
"""Number of runs of a measurement."""
SENSOR_S = 0.1
"""Period of the power sensor in seconds. The sensors of A100 and H100 sample 25 ms of every 100 ms (Yang, Adamek and
Armour, SC 2024). Runs start at different phases of this period, because a step may be periodic, too."""


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy of a workload on a GPU board; the rest of the machine is not included."""

    board: str
    """Name of the board."""
    joule_per_image: float
    """Mean over the runs."""
    joule_low: float
    """Lower end of the 95 % interval over the runs."""
    joule_high: float
    """Upper end of that interval."""
    power_w: float
    """Mean over the runs."""
    runs: int
    """Number of runs."""
    run_s: float
    """Mean length of a run in seconds."""
    sm_mhz: tuple[int, int]
    """Lowest and highest clock of the multiprocessors before, in the middle of and after each run."""
    memory_mhz: tuple[int, int]
    """Lowest and highest clock of the memory at the same times."""
    held_down_before: tuple[str, ...]
    """Reasons why the clocks were below their maximum before the first run."""
    held_down_since: tuple[str, ...]
    """Reasons why the clocks were below their maximum during and after the runs."""


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
    """Measure the energy per image of a workload in several long runs.

    Args:
        work: Processes one batch; already warm.
        images: Number of images in a batch.
        step_s: Approximate time of a batch in seconds.
        board: The board that runs the work.
        runs: Number of runs, at least two.
        run_s: Length of a run in seconds.
        synchronize: Waits for the device.
        sleep: Waits for a number of seconds; replaced in tests.
        clock: Returns the time in seconds.

    Raises:
        MissingError: Other programs use the board, or its counter does not increase.
    """
    steps = math.ceil(run_s / step_s)
    joules, lengths_s, states = [], [], [board.state()]
    for number in range(runs):
        sleep(number * SENSOR_S / runs)  # another phase of the sensor
        board.check_alone()
        synchronize()
        before, start = board.energy_j(), clock()
        for step in range(steps):
            work()
            if step == steps // 2:
                states.append(board.state())
        synchronize()
        lengths_s.append(clock() - start)
        joule = used_j(board, before, board.energy_j())
        if joule == 0:
            raise hardware_error(f"the energy counter of {board.name} did not change for {lengths_s[-1]:.0f} s")
        joules.append(joule)
        states.append(board.state())
        board.check_alone()
    per_image = [joule / (steps * images) for joule in joules]
    low, high = mean_interval(per_image)
    held_down_since = {reason: None for state in states[1:] for reason in state.held_down_by}
    return Energy(
        board=board.name,
        joule_per_image=sum(per_image) / runs,
        joule_low=low,
        joule_high=high,
        power_w=sum(joules) / sum(lengths_s),
        runs=runs,
        run_s=sum(lengths_s) / runs,
        sm_mhz=(min(state.sm_mhz for state in states), max(state.sm_mhz for state in states)),
        memory_mhz=(min(state.memory_mhz for state in states), max(state.memory_mhz for state in states)),
        held_down_before=states[0].held_down_by,
        held_down_since=tuple(held_down_since),
    )
