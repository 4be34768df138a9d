"""Rows of frames per second with energy and bound, as the report reads them."""

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

CPU = Limits(window_s=0.05, rounds=7, warmup_s=2.0, budget_s=1.5, max_batch=8)
"""Few rounds, because VGG-16 takes half a second per image at 448 px."""
CUDA = Limits(rounds=15, warmup_s=60.0, budget_s=15.0)
ENERGY_S = float(os.environ.get("FGBENCH_ENERGY_RUN_S", RUN_S))
"""Length in seconds of each of the three runs whose energy is measured."""


def version(file: str) -> str:
    """Return a hash of a benchmark file; times are compared only between equal hashes."""
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:12]


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Limit torch and the libraries of NumPy to a number of threads."""
    previous = torch.get_num_threads()
    with threadpool_limits(count):
        torch.set_num_threads(count)
        try:
            yield
        finally:
            torch.set_num_threads(previous)


def limits(device: str, best: bool) -> Limits:
    """Return the limits for a device, with or without a search for the best batch."""
    if device == "cuda":
        return CUDA
    return replace(CPU, budget_s=6.0) if best else CPU


class Sheet:
    """The rows of a session; the bound of all rows uses the best rates of the device measured beside any row."""

    def __init__(self) -> None:
        self.rates: dict[tuple[str, str], Rates] = {}
        self.rows: list[tuple[dict[str, Any], FramesRow, Need]] = []

    def add(self, benchmark: Any, row: FramesRow, need: Need, batch_s: list[float], more: dict[str, Any]) -> None:
        """Report a row.

        Args:
            benchmark: Fixture of pytest-benchmark.
            row: Measured values.
            need: Operations and bytes of an image.
            batch_s: Seconds for a batch in each window.
            more: Other fields of `extra_info`.
        """
        key = row.device_type, row.dtype
        rates = measure_rates(*key)
        best = self.rates.get(key, rates)
        self.rates[key] = Rates(max(best.flop_per_s, rates.flop_per_s), max(best.bytes_per_s, rates.bytes_per_s))
        CLOCK.samples = iter(batch_s)
        benchmark.pedantic(lambda: None, rounds=len(batch_s))
        benchmark.extra_info |= more
        self.rows.append((benchmark.extra_info, row, need))

    def close(self) -> None:
        """Write the rows into `extra_info`, before pytest-benchmark writes its file."""
        for info, row, need in self.rows:
            rates = self.rates[row.device_type, row.dtype]
            # Decoding and training have operations that the bound does not count.
            has_bound = not row.decode and row.task == "recognition"
            bounded = with_bound(row, bound(need, rates, row.batch, row.dtype), rates) if has_bound else row
            info.update(bounded.model_dump(mode="json"))

    def lines(self) -> list[tuple[str, ...]]:
        """Return the rows of the printed table, with its head."""
        heads = ("method", "device", "batch", "px", "numbers", "frames/s", "quartiles", "J/image", "of bound", "paper")
        return [heads, *(_line(FramesRow.model_validate(info)) for info, _, _ in self.rows)]


def _line(row: FramesRow) -> tuple[str, ...]:
    conditions = ", ".join(word for word in (row.dtype, row.compiled and "compiled", row.decode and "files") if word)
    return (
        row.method if row.task == "recognition" else f"{row.method}, {row.task}",
        row.device_type,
        f"{row.batch}{' (best)' if row.best_batch else ''}",
        str(row.size_px),
        conditions,
        f"{row.frames_per_s:.4g}",
        f"{row.frames_per_s_low:.4g} to {row.frames_per_s_high:.4g}",
        "-" if row.joule_per_image is None else f"{row.joule_per_image:.3g}",
        "-" if row.share_of_bound is None else f"{row.share_of_bound:.0%}",
        "-" if row.paper_fps is None else f"{row.paper_fps:g}",
    )


def measured(
    make: Callable[[int], Work], conditions: Conditions, final: Callable[[int], Work] | None = None, best: bool = False
) -> tuple[Speed, Energy | str]:
    """Measure the speed, and at the best batch the energy.

    Args:
        make: Returns the work for a batch size.
        conditions: Conditions of the work.
        final: Returns the work of the final measurement if it differs from `make`.
        best: Whether to search for the best batch.

    Returns:
        The speed; the energy of an image, or the reason why there is none.
    """
    allowed, final_works = limits(conditions.device, best), list[Work]()

    def make_final(batch: int) -> Work:
        final_works[:] = [(final or make)(batch)]
        return final_works[0]

    if not best:
        speed = measure_speed(make_final(conditions.batch), conditions, allowed)
        return speed, "no GPU was used" if conditions.device == "cpu" else "measured at the best batch"
    speed = best_batch(make, conditions, allowed, final=make_final)
    try:
        board = board_of(torch.device(conditions.device))
        return speed, measure_energy(final_works[0], speed.conditions.batch, speed.step_s, board, run_s=ENERGY_S)
    except MissingError as error:
        return speed, error.args[0]


def device_name(device: str) -> str:
    """Return the name of the GPU or the CPU."""
    return torch.cuda.get_device_name() if device == "cuda" else cpu_name()


@cache
def printed_fps() -> dict[str, tuple[float, str]]:
    """Return the first printed frames per second of each recipe, and their source with the device."""
    cells = [cell for paper in load_papers().values() for cell in paper.cells()]
    return {
        cell.recipe: (cell.value, f"{cell.column}; {cell.source}")
        for cell in reversed(cells)
        if cell.metric == "fps" and cell.recipe
    }


@cache
def photographs(count: int = 32) -> tuple[Path, ...]:
    """Return JPEG files of smooth noise, which have the usual size of CUB images and compress like photographs."""
    folder, rng = Path(tempfile.mkdtemp(prefix="fgbench-frames-")), np.random.default_rng(0)
    for number in range(count):
        coarse = rng.integers(0, 256, (50, 62, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((500, 400), Image.Resampling.BICUBIC).save(
            folder / f"{number:02d}.jpg", quality=90
        )
    return tuple(sorted(folder.iterdir()))
