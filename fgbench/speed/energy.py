"""Energy per image, from the energy counter of the GPU board or of the processor."""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from fgbench.statistics import mean_interval
from fgbench.util.gpu_board import BoardState, hardware_error, used_j

RUN_S = {"cuda": 20.0, "cpu": 1.0}
"""Length of a run of a measurement in seconds, by device. The counter of a processor is updated every millisecond."""
RUNS = 3
"""Number of runs of a measurement."""
SENSOR_S = 0.1
"""Period of the power sensor in seconds. The sensors of A100 and H100 sample 25 ms of every 100 ms (Yang, Adamek and
Armour, SC 2024). Runs start at different phases of this period, because a step may be periodic, too."""


class Counter(Protocol):
    """A counter of energy: `fgbench.util.gpu_board.Board`, or `fgbench.speed.rapl.ProcessorEnergy`."""

    name: str

    def energy_j(self) -> float:
        """Return the energy in joules since some moment."""

    def state(self) -> BoardState | None:
        """Return the present clocks; None if they are not known."""

    def check_alone(self) -> None:
        """Raise MissingError if the counter is known to include the energy of other programs."""


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy of a workload on a GPU board or a processor; the rest of the machine is not included."""

    counter: str
    """Name of the board, or `processor packages`."""
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
    sm_mhz: tuple[int, int] | None
    """Lowest and highest clock of the multiprocessors before, in the middle of and after each run; None if unknown."""
    memory_mhz: tuple[int, int] | None
    """Lowest and highest clock of the memory at the same times; None if unknown."""
    held_down_before: tuple[str, ...]
    """Reasons why the clocks were below their maximum before the first run."""
    held_down_since: tuple[str, ...]
    """Reasons why the clocks were below their maximum during and after the runs."""


def measure_energy(
    work: Callable[[], object],
    images: int,
    step_s: float,
    counter: Counter,
    *,
    run_s: float,
    synchronize: Callable[[], object],
    runs: int = RUNS,
    sleep: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.perf_counter,
) -> Energy:
    """Measure the energy per image of a workload in several long runs.

    Args:
        work: Processes one batch; already warm.
        images: Number of images in a batch.
        step_s: Approximate time of a batch in seconds.
        counter: Counter of the device that runs the work.
        run_s: Length of a run in seconds.
        synchronize: Waits for the device.
        runs: Number of runs, at least two.
        sleep: Waits for a number of seconds; replaced in tests.
        clock: Returns the time in seconds.

    Raises:
        MissingError: Other programs use the board, or the counter does not increase.
    """
    steps = math.ceil(run_s / step_s)
    joules, lengths_s, states = [], [], [counter.state()]
    for number in range(runs):
        sleep(number * SENSOR_S / runs)  # another phase of the sensor
        counter.check_alone()
        synchronize()
        before, start = counter.energy_j(), clock()
        for step in range(steps):
            work()
            if step == steps // 2:
                states.append(counter.state())
        synchronize()
        lengths_s.append(clock() - start)
        joule = used_j(counter.name, before, counter.energy_j())
        if joule == 0:
            raise hardware_error(f"the energy counter of {counter.name} did not change for {lengths_s[-1]:.0f} s")
        joules.append(joule)
        states.append(counter.state())
        counter.check_alone()
    per_image = [joule / (steps * images) for joule in joules]
    low, high = mean_interval(per_image)
    known = [state for state in states if state is not None]
    return Energy(
        counter=counter.name,
        joule_per_image=sum(per_image) / runs,
        joule_low=low,
        joule_high=high,
        power_w=sum(joules) / sum(lengths_s),
        runs=runs,
        run_s=sum(lengths_s) / runs,
        sm_mhz=_ends(state.sm_mhz for state in known),
        memory_mhz=_ends(state.memory_mhz for state in known),
        held_down_before=known[0].held_down_by if known else (),
        held_down_since=tuple({reason: None for state in known[1:] for reason in state.held_down_by}),
    )


def _ends(values: Iterable[int]) -> tuple[int, int] | None:
    """Return the smallest and the largest value; None without values."""
    ordered = sorted(values)
    return (ordered[0], ordered[-1]) if ordered else None
