"""Measurement and output of `fgbench speed`."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from fgbench.cli.chosen_device import checked_device
from fgbench.cli.chosen_recipes import choose_recipes
from fgbench.cli.console import Answer, is_wide, out, table
from fgbench.cli.next_steps import next_command, print_next
from fgbench.datasets import image_folder
from fgbench.papers.recipes import Recipe
from fgbench.speed.bench_files import SPEED
from fgbench.speed.bench_rows import FramesRow
from fgbench.speed.method_speed import Kind, MethodSpeed, Subject, energy_run_s, measure_alone, printed_fps
from fgbench.speed.processor import this_processor
from fgbench.speed.result_file import Entry, write_result_file
from fgbench.speed.speed_sheet import SpeedSheet
from fgbench.speed.workloads import STAND_INS
from fgbench.util.errors import FgbenchError
from fgbench.util.files import make_folder


def measure_and_write(names: Sequence[str], data: str, device: str | None, results: Path, answer: Answer) -> None:
    """Measure recipes, each in a process of its own, and write a result file for each one as soon as it is measured.

    Args:
        names: names of recipes as the user typed them; empty for those whose frames per second are printed.
        data: data set of the recipes.
        device: `cpu` or `cuda`; None for a GPU if there is one.
        results: results folder.
        answer: gets the speeds.

    Raises:
        FgbenchError: an unknown recipe, data set or device, or a file cannot be written.
    """
    if data.startswith(f"{image_folder.KIND}:"):
        raise FgbenchError("this measurement uses random images, not those of a folder", "fgbench speed --data cub")
    energy_run_s()  # refuses a wrong length before the work
    device = checked_device(device) or ("cuda" if torch.cuda.is_available() else "cpu")
    recipes = choose_recipes(data, names or _printed(data))
    make_folder(results)
    make_folder(results / SPEED)
    out(str(this_processor()))
    kinds = {"one image": Kind(device), "best batch": Kind(device, best=True)}
    sheet, speeds = SpeedSheet(), dict[Path, list[MethodSpeed]]()
    for recipe in recipes:
        out(f"{recipe.title}: measuring on {device}")
        measured = measure_alone(Subject(recipe, recipe.title), list(kinds.values()))
        file = results / SPEED / _file_name(recipe, device)
        speeds[file] = [measured[kind] for kind in kinds.values()]
        for speed in speeds[file]:
            sheet.add(speed)
        # The bound of earlier recipes may have changed.
        rows = dict(zip(speeds, _pairs(sheet.rows()), strict=True))
        for path, pair in rows.items():
            entries = [_entry(*parts) for parts in zip(kinds, pair, speeds[path], strict=True)]
            write_result_file(path, entries)
    facts = [_facts(recipe, *pair) for recipe, pair in zip(recipes, rows.values(), strict=True)]
    commands = [next_command("report", results=results)]
    shown = {
        "processor": this_processor().model_dump(mode="json"),
        "device": rows[file][0].device,
        "speeds": facts,
        "files": [str(path) for path in rows],
        "next": commands,
    }
    answer.give(shown, lambda: _show(facts, [str(path) for path in rows], commands))


def _printed(data: str) -> list[str]:
    """Return the recipes of a data set whose frames per second are printed.

    Raises:
        FgbenchError: there are none.
    """
    names = [key.partition("@")[0] for key in printed_fps() if key.partition("@")[2] == data]
    if not names:
        raise FgbenchError(f"no frames per second are printed for {data}", "name recipes; see fgbench list recipes")
    return names


def _pairs(rows: Sequence[FramesRow]) -> list[tuple[FramesRow, FramesRow]]:
    return list(zip(rows[::2], rows[1::2], strict=True))


def _file_name(recipe: Recipe, device: str) -> str:
    words = re.sub(r"[^\w.]+", "-", recipe.key)
    return f"{words}-{device}.json"


def _entry(kind: str, row: FramesRow, speed: MethodSpeed) -> Entry:
    info = row.model_dump(mode="json") | {
        "stand_ins": STAND_INS,
        "processor": str(this_processor()),
        "reference_s": speed.reference_s,
    }
    return Entry(f"frames/s, {row.device_type}, {kind}", f"{row.recipe}, {kind}", speed.batch_s, info)


def _facts(recipe: Recipe, one: FramesRow, best: FramesRow) -> dict[str, Any]:
    """Return the speed of a recipe as plain values."""
    return {
        "recipe": recipe.key,
        "title": recipe.title,
        "size_px": one.size_px,
        "fps": one.frames_per_s,
        "fps_low": one.frames_per_s_low,
        "fps_high": one.frames_per_s_high,
        "steady": one.steady and best.steady,
        "best_batch": best.batch,
        "best_fps": best.frames_per_s,
        "best_fps_low": best.frames_per_s_low,
        "best_fps_high": best.frames_per_s_high,
        "tried": [{"batch": batch, "fps": fps} for batch, fps in best.tried],
        "stopped": best.stopped,
        "bound_fps": best.bound_fps,
        "share_of_bound": best.share_of_bound,
        "joule_per_image": best.joule_per_image,
        "energy_note": best.energy_note,
        "peak_mib": best.peak_mib,
        "printed_fps": best.paper_fps,
    }


def _show(facts: Sequence[dict[str, Any]], files: Sequence[str], commands: Sequence[str]) -> None:
    """Print the speeds."""
    rows = [
        {
            "recipe": fact["recipe"],
            "frames/s": f"{fact['fps']:.3g}",
            "quartiles": f"{fact['fps_low']:.3g} to {fact['fps_high']:.3g}",
            "best batch": fact["best_batch"],
            "at best": f"{fact['best_fps']:.3g}",
            "of bound": f"{fact['share_of_bound']:.0%}",
            "J/image": "-" if fact["joule_per_image"] is None else f"{fact['joule_per_image']:.3g}",
            **({"MiB": f"{fact['peak_mib']:.0f}"} if is_wide() else {}),
        }
        for fact in facts
    ]
    table("frames per second", rows)
    for fact in facts:
        tried = ", ".join(f"{row['batch']}: {_rate(row['fps'])}" for row in fact["tried"])
        steady = "" if fact["steady"] else "; not steady when the measurement began"
        out(f"{fact['title']}: frames/s by batch: {tried}; {fact['stopped']}{steady}")
    for note in dict.fromkeys(fact["energy_note"] for fact in facts if fact["energy_note"]):
        out(f"energy is not measured: {note}")
    for file in files:
        out(f"written: {file}")
    print_next(commands)


def _rate(fps: float | None) -> str:
    return "does not fit in memory" if fps is None else f"{fps:.3g}"
