"""Rows of benchmarks as pytest-benchmark keeps them: what fgbench writes into `extra_info`, and how it is read."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fgbench.util.errors import FgbenchError
from fgbench.util.validation import explain

LINE = 300
AGAIN = "pytest benchmarks --benchmark-only --benchmark-json FILE"

Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Row(BaseModel):
    """What a kind of row has in `extra_info`; what else is there is not looked at."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class HotRow(Row):
    """fgbench on a hot path, beside what one would pick instead."""

    entrant: Literal["fgbench"]
    threads: int
    times_as_fast_as: dict[str, Positive]
    """Ratio by peer."""
    at_least: dict[str, Positive] = {}
    """Ratio that is asked, by peer."""
    at_most_s: Positive | None = None
    """Seconds that are asked."""
    times_floor: Positive | None = None
    """Time as a multiple of what no implementation can do without."""
    floor_counts: str = ""
    """What was counted for that."""


class FramesRow(Row):
    """Frames a second of a method under conditions."""

    kind: Literal["frames"] = "frames"
    method: str
    recipe: str
    task: Literal["recognition", "training step"] = "recognition"
    device: str
    """The device by name."""
    device_type: Literal["cpu", "cuda"]
    batch: int = Field(gt=0)
    size_px: int = Field(gt=0)
    dtype: str
    layout: str
    compiled: str
    """Mode of torch.compile; empty for none."""
    decode: bool
    """Whether files are read and decoded in the time."""
    threads: int
    frames_per_s: Positive
    """Median over the windows."""
    frames_per_s_low: Positive
    """Lower quartile."""
    frames_per_s_high: Positive
    steady: bool
    warmup_s: Finite
    peak_mib: Finite
    peak_of: str
    best_batch: bool = False
    """Whether this is the batch with the most frames a second."""
    tried: list[tuple[int, float | None]] = []
    """Batches on the way to it, with their frames a second; None where memory did not do."""
    stopped: str = ""
    """Why no larger one was tried."""
    joule_per_image: Positive | None = None
    """Of the GPU's board."""
    joule_low: Finite | None = None
    joule_high: Finite | None = None
    energy_note: str = ""
    """Why there is none."""
    power_w: Positive | None = None
    sm_mhz: tuple[int, int] | None = None
    memory_mhz: tuple[int, int] | None = None
    held_down_by: list[str] = []
    """Why the clocks were lower than they could be."""
    gflop_per_image: Positive | None = None
    bound_fps: Positive | None = None
    """What the device's own rates allow."""
    bound_by: str = ""
    share_of_bound: Positive | None = None
    peak_gflop_per_s: Positive | None = None
    """Rate of the device that the bound is from, measured."""
    bandwidth_gb_per_s: Positive | None = None
    paper_fps: Positive | None = None
    """What the paper prints, on its own device."""
    paper_source: str = ""
    difference_from_fp32: Finite | None = None
    """Length of the difference from the scores in fp32, by the length of those."""


class ScalingRow(Row):
    """One point of a curve of cost against size."""

    kind: Literal["scaling"] = "scaling"
    curve: str
    axis: str
    """What is varied, with its unit."""
    at: Positive
    expected: str = ""
    """What the arithmetic lets expect."""
    threads: int
    device: str
    exponent: Finite | None = None
    """Of the whole curve; None where it has too few points."""
    exponent_low: Finite | None = None
    exponent_high: Finite | None = None


class Timed(BaseModel):
    """A row of a known kind with its times."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    group: str
    name: str
    median_s: float
    row: HotRow | FramesRow | ScalingRow


class Session(BaseModel):
    """One file of pytest-benchmark."""

    model_config = ConfigDict(frozen=True)

    file: str
    machine: str
    """Processor and cores."""
    platform: str
    python: str
    commit: str
    finished: str
    rows: tuple[Timed, ...]


class _Stats(Row):
    median: Positive


class _Benchmark(Row):
    group: str | None
    name: str
    extra_info: dict[str, Any]
    stats: _Stats


class _File(Row):
    machine_info: dict[str, Any]
    commit_info: dict[str, Any] = {}
    benchmarks: list[_Benchmark]
    datetime: str


def read_session(path: Path) -> Session:
    """The rows of a file that `pytest benchmarks --benchmark-json FILE` wrote; those of other benchmarks are left out.

    Raises:
        FgbenchError: there is no such file, it is not pytest-benchmark's, or a row lacks something or is no number.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        json.dumps(content, ensure_ascii=False).encode()  # half a character can be told in JSON, but not written
    except OSError as error:
        raise FgbenchError(f"{path} cannot be read: {error.strerror}", AGAIN) from error
    except (ValueError, RecursionError) as error:
        raise FgbenchError(f"{path} is not JSON: {error}", AGAIN) from error
    try:
        file = _File.model_validate(content)
    except ValidationError as error:
        raise FgbenchError(f"{path} is not of pytest-benchmark: {_short(explain(error, _File))}", AGAIN) from error
    rows = [found for each in file.benchmarks if (found := _timed(path, each))]
    if not rows:
        raise FgbenchError(f"{path} has no benchmark of fgbench", AGAIN)
    return Session(
        file=path.name,
        machine=_machine(file.machine_info),
        platform=f"{file.machine_info.get('system', '')} {file.machine_info.get('release', '')}".strip(),
        python=str(file.machine_info.get("python_version", "")),
        commit=str(file.commit_info.get("id", "")),
        finished=file.datetime,
        rows=tuple(rows),
    )


def _timed(path: Path, benchmark: _Benchmark) -> Timed | None:
    info = benchmark.extra_info
    kinds: dict[str, type[HotRow | FramesRow | ScalingRow]] = {"frames": FramesRow, "scaling": ScalingRow}
    kind = kinds.get(str(info.get("kind")))
    if info.get("entrant") == "fgbench":
        kind = HotRow
    if kind is None:
        return None
    try:
        row = kind.model_validate(info)
    except ValidationError as error:
        raise FgbenchError(f"{path}: {benchmark.name}: extra_info: {_short(explain(error, kind))}", AGAIN) from error
    group = benchmark.group or benchmark.name
    return Timed(group=group, name=benchmark.name, median_s=benchmark.stats.median, row=row)


def _machine(info: dict[str, Any]) -> str:
    cpu = info.get("cpu")
    found = cpu if isinstance(cpu, dict) else {}
    name = found.get("brand_raw") or info.get("processor") or info.get("machine") or "a processor not named"
    cores = found.get("count")
    return f"{name}, {cores} cores" if cores else str(name)


def _short(text: str) -> str:
    """A mistake may quote the whole file."""
    return text if len(text) <= LINE else f"{text[:LINE]} …"
