"""`--precision auto`: bfloat16 where a probe of this machine shows that it is faster."""

from collections.abc import Callable
from dataclasses import replace

from fgbench.papers.settings import FULL, HALF
from fgbench.runs.run import Changes
from fgbench.runs.training.distributed import processes
from fgbench.speed.precision_probe import bfloat16_gain
from fgbench.util.errors import FgbenchError

AUTO = "auto"
GAIN = 1.3
"""`auto` chooses bfloat16 if the probe shows that it is at least this many times as fast as float32."""


def check_auto(precision: str | None, *, is_here: bool) -> None:
    """Check that `auto` can be resolved by this process.

    Args:
        precision: the precision that the user named.
        is_here: False if the runs are executed or estimated for another machine.

    Raises:
        FgbenchError: the runs are for another machine, or `torchrun` started several processes.
    """
    if precision != AUTO:
        return
    if not is_here:
        raise FgbenchError(
            "--precision auto probes this machine, which does not execute the runs", f"--precision {HALF}"
        )
    if processes() > 1:
        raise FgbenchError(
            "--precision auto probes one process, and those of torchrun need the same precision", f"--precision {HALF}"
        )


def with_precision(changes: Changes, device: str, threads: int, say: Callable[[str], object]) -> Changes:
    """Return the changes of the user with the precision that `auto` stands for.

    Args:
        changes: the changes of the user.
        device: `cpu` or `cuda`.
        threads: number of CPU threads of the runs.
        say: called with the choice and its reason, or with a remark if `bf16-mixed` is slower on this processor.
    """
    if changes.precision != AUTO and (changes.precision, device) != (HALF, "cpu"):
        return changes
    gain = bfloat16_gain(device, threads)
    speed = f"{gain:.1f} times as fast as {FULL} in a probe of this {'processor' if device == 'cpu' else 'GPU'}"
    if changes.precision == HALF:
        if gain < 1:
            say(f"precision {HALF} is slower here: {speed}")
        return changes
    if gain >= GAIN:
        say(f"precision {HALF}: {speed}; to continue these runs, use --precision {HALF}")
        return replace(changes, precision=HALF)
    say(f"precision {FULL}: {HALF} is {speed}; auto requires at least {GAIN} times")
    return replace(changes, precision=FULL)
