"""Energy of an image on a GPU, by the counter of its board."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from fgbench.statistics import mean_interval
from fgbench.util.gpu_board import Board, missing, used_j

RUN_S, RUNS = 20.0, 3
"""Length and number of the runs of a measurement."""


SENSOR_S = 0.1
"""The power sensors of A100 and H100 look at 25 ms of every 100 ms (Yang, Adamek and Armour, SC 2024): runs begin at
other places of this period, so that what a step does periodically is not seen at the same place always."""


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
            raise missing(f"the counter of {board.name} stood still for {lengths[-1]:.0f} s")
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
