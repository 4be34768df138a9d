"""Verdicts on printed frames per second, from benchmarks of fgbench.

A speed is a number of a device. On the device of the paper, in float32 and not compiled, it is judged by the margin.
Otherwise it is not comparable, and the shares of both peaks are told. A number for a CPU that the paper does not name
is judged on any CPU.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fgbench.judge.verdict import Outcome, Verdict, recipe_key
from fgbench.papers.printed import Cell
from fgbench.speed.bench_rows import FramesRow

COMMAND = "fgbench speed"
ANY_CPU = "CPU"
"""Device of a number that the paper has for a CPU without its name."""


def with_frames(verdicts: Mapping[str, Sequence[Verdict]], rows: Sequence[FramesRow]) -> dict[str, list[Verdict]]:
    """Return verdicts in which the cells of frames per second are judged.

    Args:
        verdicts: by id of the paper.
        rows: measured frames per second.
    """
    return {
        paper: [_judged(verdict, rows) if verdict.cell.metric == "fps" else verdict for verdict in of_paper]
        for paper, of_paper in verdicts.items()
    }


def _judged(verdict: Verdict, rows: Sequence[FramesRow]) -> Verdict:
    """Return the verdict on a speed: of a row on the device of the paper if there is one, else of the fastest row."""
    cell = verdict.cell
    if not cell.recipe or cell.role == "context":
        return verdict
    fitting = [row for row in rows if row.recipe in {cell.recipe, recipe_key(cell)} and may_answer(row)]
    if not fitting:
        command = f"{COMMAND} {cell.recipe} --data {cell.data}"
        return replace(verdict, outcome=Outcome.NOT_RUN, reason="its speed is not measured", command=command)
    row = max(fitting, key=lambda row: (_is_judged(cell, row), row.frames_per_s))
    if _is_judged(cell, row):
        outcome, reason = _outcome(cell, row)
    else:
        outcome, reason = Outcome.NOT_COMPARABLE, _other_device(cell, row)
    return replace(verdict, outcome=outcome, reason=reason, command="", mean=row.frames_per_s, frames=row)


def may_answer(row: FramesRow) -> bool:
    """Return True for the speed of recognition from pixels, if it was steady."""
    return row.task == "recognition" and not row.decode and row.steady


def _is_judged(cell: Cell, row: FramesRow) -> bool:
    """Return True for a row that is judged by the margin: the device of the paper, float32, not compiled."""
    return _is_device(cell, row) and row.dtype == "fp32" and not row.compiled


def _is_device(cell: Cell, row: FramesRow) -> bool:
    """Return True for the device of the paper. Its whole name must agree, because names of other cards begin alike."""
    if cell.device == ANY_CPU:
        return row.device_type == "cpu"
    return is_named(row.device, cell.devices)


def is_named(device: str, names: Sequence[str]) -> bool:
    """Return True for a device that calls itself by one of some names, which are without `NVIDIA`."""
    return device.removeprefix("NVIDIA ").strip() in names


def _outcome(cell: Cell, row: FramesRow) -> tuple[Outcome, str]:
    """Return the outcome on the device of the paper, by the quartiles of the windows and the margin."""
    device = f"{row.device}; the paper does not name its CPU" if cell.device == ANY_CPU else "the device of the paper"
    speed = f"{row.frames_per_s:.3g} frames/s on {device}, {_conditions(row)}"
    text = f"{speed}; printed {cell.value:g}, margin {cell.margin:g}"
    low, high = row.frames_per_s_low - cell.value, row.frames_per_s_high - cell.value
    if low > cell.margin:
        return Outcome.EXCEEDS, text
    if high < -cell.margin:
        return Outcome.NOT_REPRODUCED, text
    inside = -cell.margin <= low and high <= cell.margin
    return (Outcome.REPRODUCED if inside else Outcome.INCONCLUSIVE), text


def _conditions(row: FramesRow) -> str:
    return f"{row.dtype}, batch {row.batch}, {row.size_px} px{', compiled' if row.compiled else ''}"


def _other_device(cell: Cell, row: FramesRow) -> str:
    """Return the reason for another device, with the shares of both peaks as far as they are known."""
    planned = cell.device or "a device that the paper does not name"
    parts = [f"measured on {row.device} ({_conditions(row)}), printed for {planned}"]
    if row.gflop_per_image and row.peak_gflop_per_s:
        share = row.frames_per_s * row.gflop_per_image / row.peak_gflop_per_s
        parts.append(f"here {share:.0%} of the measured rate of matrix products")
    if row.gflop_per_image and (peak := cell.device_tflop_per_s):
        share = cell.value * row.gflop_per_image / (1000 * peak)
        work = f"{cell.value:g} x {row.gflop_per_image:.0f} GFLOP"
        parts.append(f"there {work} are {share:.0%} of the peak of {peak:g} TFLOP/s")
    return "; ".join(parts)
