"""Rows of frames a second: protocol, energy and the bound, in the shape that the report reads."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from conftest import CLOCK
from PIL import Image
from threadpoolctl import threadpool_limits

from fgbench.papers.printed import load_papers
from fgbench.records.provenance import cpu_name
from fgbench.speed.bench_rows import FramesRow
from fgbench.speed.energy import RUN_S, Energy, measure_energy
from fgbench.speed.roofline import Need, Rates, bound, measure_rates
from fgbench.speed.throughput import Conditions, Limits, Speed, Work, best_batch, measure_speed
from fgbench.speed.workloads import with_bound
from fgbench.util.errors import MissingError
from fgbench.util.gpu_board import board_of

CPU = Limits(window_s=0.05, rounds=7, warmup_s=2.0, budget_s=1.5, most=8)
"""Few rounds: VGG-16 takes half a second an image at 448 px."""
CUDA = Limits(rounds=15, warmup_s=60.0, budget_s=15.0)
ENERGY_S = float(os.environ.get("FGBENCH_ENERGY_RUN_S", RUN_S))
"""Length of each of the three runs whose energy is measured."""


def version(file: str) -> str:
    """Hash of a file of benchmarks: another hash, another benchmark."""
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:12]


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Within it torch, and the libraries under NumPy, have so many."""
    before = torch.get_num_threads()
    with threadpool_limits(count):
        torch.set_num_threads(count)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def limits(device: str, best: bool) -> Limits:
    if device == "cuda":
        return CUDA
    return replace(CPU, budget_s=6.0) if best else CPU


class Sheet:
    """The rows of a file; the best rates of the device that any of them has seen give the bound of all."""

    def __init__(self) -> None:
        self.rates: dict[tuple[str, str], Rates] = {}
        self.rows: list[tuple[dict[str, Any], FramesRow, Need]] = []

    def add(self, benchmark: Any, row: FramesRow, need: Need, seconds: list[float], more: dict[str, Any]) -> None:
        """Report a row; `seconds` are those of a batch in each window."""
        key = row.device_type, row.dtype
        now = measure_rates(*key)
        before = self.rates.get(key, now)
        self.rates[key] = Rates(max(before.flop_per_s, now.flop_per_s), max(before.bytes_per_s, now.bytes_per_s))
        CLOCK.samples = iter(seconds)
        benchmark.pedantic(lambda: None, rounds=len(seconds))
        benchmark.extra_info |= more
        self.rows.append((benchmark.extra_info, row, need))

    def close(self) -> None:
        """Write what stands in the rows, before pytest-benchmark writes its file."""
        for info, row, need in self.rows:
            rates = self.rates[row.device_type, row.dtype]
            found = bound(need, rates, row.batch, row.dtype)
            # From files, the CPU has its share, and a training step has other operations than were counted.
            bounded = row if row.decode or row.task != "recognition" else with_bound(row, found, rates)
            info.update(bounded.model_dump(mode="json"))

    def lines(self) -> list[tuple[str, ...]]:
        """The rows as words."""
        heads = ("method", "device", "batch", "px", "numbers", "frames/s", "quartiles", "J/image", "of bound", "paper")
        return [heads, *(_line(FramesRow.model_validate(info)) for info, _, _ in self.rows)]


def _line(row: FramesRow) -> tuple[str, ...]:
    how = ", ".join(word for word in (row.dtype, row.compiled and "compiled", row.decode and "files") if word)
    return (
        row.method if row.task == "recognition" else f"{row.method}, {row.task}",
        row.device_type,
        f"{row.batch}{' (best)' if row.best_batch else ''}",
        str(row.size_px),
        how,
        f"{row.frames_per_s:.4g}",
        f"{row.frames_per_s_low:.4g} to {row.frames_per_s_high:.4g}",
        "-" if row.joule_per_image is None else f"{row.joule_per_image:.3g}",
        "-" if row.share_of_bound is None else f"{row.share_of_bound:.0%}",
        "-" if row.paper_fps is None else f"{row.paper_fps:g}",
    )


def measured(
    make: Callable[[int], Work], conditions: Conditions, final: Callable[[int], Work] | None = None, best: bool = False
) -> tuple[Speed, Energy | str]:
    """Speed at one image or at the best batch, and there the energy of an image or why there is none."""
    allowed, made = limits(conditions.device, best), list[Work]()

    def last(batch: int) -> Work:
        made[:] = [(final or make)(batch)]
        return made[0]

    if not best:
        speed = measure_speed(last(conditions.batch), conditions, allowed)
        return speed, "no GPU was used" if conditions.device == "cpu" else "measured at the best batch"
    speed = best_batch(make, conditions, allowed, final=last)
    try:
        board = board_of(torch.device(conditions.device))
        return speed, measure_energy(made[0], speed.conditions.batch, speed.step_s, board, run_s=ENERGY_S)
    except MissingError as error:
        return speed, error.args[0]


def device_name(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else cpu_name()


@cache
def printed_fps() -> dict[str, tuple[float, str]]:
    """Frames a second that the papers print for a recipe, and where: the device is in the column's head."""
    cells = [cell for paper in load_papers().values() for cell in paper.cells()]
    return {
        cell.recipe: (cell.value, f"{cell.column}; {cell.source}")
        for cell in cells
        if cell.metric == "fps" and cell.recipe
    }


@cache
def photographs(count: int = 32) -> tuple[Path, ...]:
    """JPEG files of CUB's usual size: smooth noise, which compresses like a photograph."""
    folder, rng = Path(tempfile.mkdtemp(prefix="fgbench-frames-")), np.random.default_rng(0)
    for number in range(count):
        coarse = rng.integers(0, 256, (50, 62, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((500, 400), Image.Resampling.BICUBIC).save(
            folder / f"{number:02d}.jpg", quality=90
        )
    return tuple(sorted(folder.iterdir()))
