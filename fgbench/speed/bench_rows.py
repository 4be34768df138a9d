"""Rows of benchmark results: the fields that fgbench writes into `extra_info` of pytest-benchmark, and their reader."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fgbench.speed.bench_machine import Info, fields_of, processor_of
from fgbench.speed.processor import IN_MACHINE_INFO, Processor
from fgbench.speed.speed_source import SpeedSource
from fgbench.util.counted import counted
from fgbench.util.errors import FgbenchError
from fgbench.util.hashing import hash_file
from fgbench.util.json_toml import read_json
from fgbench.util.validation import explain

MAX_MESSAGE = 300
"""Longest quotation of a validation error, in characters."""
BENCHMARK_COMMAND = "pytest benchmarks --benchmark-only --benchmark-json FILE"

Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class BenchRow(BaseModel):
    """Fields of a kind of row in `extra_info`; other fields are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class HotRow(BenchRow):
    """Time of fgbench on a hot path, compared with peers."""

    entrant: Literal["fgbench"]
    threads: int
    times_as_fast_as: dict[str, Positive]
    """Time of the peer divided by that of fgbench, by peer."""
    at_least: dict[str, Positive] = {}
    """Required ratio, by peer."""
    at_most_s: Positive | None = None
    """Required time in seconds."""
    values: dict[str, Finite] = {}
    """Other measured values by name with unit, such as `peak_mib`."""
    values_at_most: dict[str, Finite] = {}
    """Largest allowed values, by name."""
    values_at_least: dict[str, Finite] = {}
    """Smallest allowed values, by name."""
    times_floor: Positive | None = None
    """Time as a multiple of the lower bound of any implementation."""
    floor_counts: str = ""
    """Operations and bytes that the lower bound counts."""


class FramesRow(BenchRow):
    """Frames per second of a method under stated conditions."""

    kind: Literal["frames"] = "frames"
    method: str
    recipe: str
    task: Literal["recognition", "training step"] = "recognition"
    device: str
    """Name of the device."""
    device_type: Literal["cpu", "cuda"]
    batch: int = Field(gt=0)
    size_px: int = Field(gt=0)
    dtype: str
    layout: str
    compiled: str
    """Mode of torch.compile; empty if the code is not compiled."""
    decode: bool
    """Whether the time includes reading and decoding of image files."""
    threads: int
    frames_per_s: Positive
    """Median over the windows."""
    frames_per_s_low: Positive
    """Lower quartile."""
    frames_per_s_high: Positive
    """Upper quartile."""
    steady: bool
    """Whether the warm-up ended with two windows of about equal time."""
    warmup_s: Finite
    peak_mib: Finite
    """Peak memory."""
    peak_of: str
    """Owner of that memory: the process, or tensors on the GPU."""
    best_batch: bool = False
    """Whether this is the batch size with the most frames per second."""
    tried: list[tuple[int, float | None]] = []
    """Batch sizes that were tried, with their frames per second; None if a batch did not fit in memory."""
    stopped: str = ""
    """Reason why no larger batch was tried."""
    joule_per_image: Positive | None = None
    """Energy of the GPU board, or of the processor packages."""
    joule_low: Finite | None = None
    """Lower end of the 95 % interval."""
    joule_high: Finite | None = None
    """Upper end of the 95 % interval."""
    energy_note: str = ""
    """Reason why the energy is unknown."""
    power_w: Positive | None = None
    sm_mhz: tuple[int, int] | None = None
    """Lowest and highest clock of the multiprocessors."""
    memory_mhz: tuple[int, int] | None = None
    """Lowest and highest clock of the memory."""
    held_down_by: list[str] = []
    """Reasons why the clocks were below their maximum."""
    gflop_per_image: Positive | None = None
    bound_fps: Positive | None = None
    """Upper bound on frames per second from the measured rates of the device."""
    bound_by: str = ""
    """`operations` or `bytes`."""
    share_of_bound: Positive | None = None
    peak_gflop_per_s: Positive | None = None
    """Measured rate of the device, used for the bound."""
    bandwidth_gb_per_s: Positive | None = None
    """Measured memory bandwidth of the device, used for the bound."""
    paper_fps: Positive | None = None
    """Printed frames per second, on the device of the paper."""
    paper_source: str = ""
    difference_from_fp32: Finite | None = None
    """Norm of the difference from the scores in fp32, divided by the norm of the scores in fp32."""
    code: str = ""
    """Hash of the code that computes values (`fgbench.util.code_hash`) when it was measured."""
    source: SpeedSource | None = Field(default=None, exclude=True)
    """Origin of the row; None if it is not from a file. It is not part of the file."""


class ScalingRow(BenchRow):
    """One point of a curve of cost against size."""

    kind: Literal["scaling"] = "scaling"
    curve: str
    axis: str
    """Varied quantity, with its unit."""
    at: Positive
    """Value of the varied quantity."""
    expected: str = ""
    """Expected exponent, from the arithmetic."""
    threads: int
    device: str
    exponent: Finite | None = None
    """Exponent of a power law fitted to the whole curve; None if there are too few points."""
    exponent_low: Finite | None = None
    """Lower end of the 95 % interval."""
    exponent_high: Finite | None = None
    """Upper end of the 95 % interval."""


KINDS: dict[str, type[HotRow | FramesRow | ScalingRow]] = {"frames": FramesRow, "scaling": ScalingRow}
"""Kinds of rows by the field `kind`; the rows of hot paths have the field `entrant`."""


class TimedRow(BaseModel):
    """A row with its median time."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    group: str
    name: str
    median_s: float
    row: HotRow | FramesRow | ScalingRow


class BenchmarkSession(BaseModel):
    """Content of one result file of pytest-benchmark."""

    model_config = ConfigDict(frozen=True)

    file: str
    """Name of the file."""
    machine: str
    """Processor and number of cores."""
    features: str = ""
    """Vector instructions of the processor, and what the libraries use; empty in files of earlier versions."""
    platform: str
    python: str
    commit: str
    """Commit of the working tree, with a remark if files were changed."""
    finished: str
    sha256: str = ""
    """SHA-256 of the file."""
    rows: tuple[TimedRow, ...]
    others: int = 0
    """Number of benchmarks of other projects in the file, which are left out."""


class _Stats(BenchRow):
    median: Positive


class _Benchmark(BenchRow):
    group: str | None
    name: str
    extra_info: dict[str, Any]
    stats: _Stats


class _File(BenchRow):
    machine_info: Info
    commit_info: Info = None
    benchmarks: list[_Benchmark]
    datetime: str


def read_session(path: Path) -> BenchmarkSession:
    """Return the rows of fgbench in a file that `pytest benchmarks --benchmark-json FILE` wrote.

    Raises:
        FgbenchError: The file cannot be read, is not a result file of pytest-benchmark, has no row of fgbench, or a
            field of a row is missing or not valid.
    """
    session = parse_session(path)
    if not session.rows:
        among = f" among its {counted(session.others, 'benchmark')}" if session.others else ""
        raise FgbenchError(f"{path} has no row of fgbench{among}", BENCHMARK_COMMAND)
    return session


def parse_session(path: Path) -> BenchmarkSession:
    """Return the rows of fgbench in a file, as `read_session`, but possibly none.

    Raises:
        FgbenchError: As for `read_session`.
    """
    content = read_json(path, BENCHMARK_COMMAND, finite=False)
    entries = content.get("benchmarks") if isinstance(content, dict) else None
    others = 0
    if isinstance(entries, list):
        ours = [entry for entry in entries if not is_foreign(entry)]
        content, others = content | {"benchmarks": ours}, len(entries) - len(ours)
    try:
        file = _File.model_validate(content)
    except ValidationError as error:
        raise _wrong(f"{path} is not a result file of pytest-benchmark", error, _File) from error
    rows = [row for benchmark in file.benchmarks if (row := _timed_row(path, benchmark))]
    machine, commit = fields_of(file.machine_info, "processor"), fields_of(file.commit_info, "id")
    name, cores = processor_of(machine)
    return BenchmarkSession(
        file=path.name,
        machine=(name or "unknown processor") + (f", {cores} cores" if cores else ""),
        features=_features(path, machine),
        platform=f"{machine.get('system', '')} {machine.get('release', '')}".strip(),
        python=str(machine.get("python_version", "")),
        commit=str(commit.get("id", "")) + (" with changes" if commit.get("dirty") is True else ""),
        sha256=hash_file(path),
        finished=file.datetime,
        rows=tuple(rows),
        others=others,
    )


def is_foreign(entry: Any) -> bool:
    """Return True for a benchmark of another project: it has none of the fields of fgbench.

    Files of pytest-benchmark 3.0 have no `extra_info` at all.
    """
    info = entry.get("extra_info") if isinstance(entry, dict) else ""
    info = {} if info is None else info
    return isinstance(info, dict) and "entrant" not in info and str(info.get("kind")) not in KINDS


def _timed_row(path: Path, benchmark: _Benchmark) -> TimedRow | None:
    """Return the row of a benchmark, or None if its kind is not one of fgbench's."""
    info = {name: value for name, value in benchmark.extra_info.items() if name != "source"}
    kind = KINDS.get(str(info.get("kind")))
    if info.get("entrant") == "fgbench":
        kind = HotRow
    if kind is None:
        return None
    try:
        row = kind.model_validate(info)
    except ValidationError as error:
        raise _wrong(f"{path}: {benchmark.name}: extra_info", error, kind) from error
    group = benchmark.group or benchmark.name
    return TimedRow(group=group, name=benchmark.name, median_s=benchmark.stats.median, row=row)


def _features(path: Path, info: dict[str, Any]) -> str:
    """Return the instructions of the processor as text."""
    if IN_MACHINE_INFO not in info:
        return ""
    try:
        return Processor.model_validate(info[IN_MACHINE_INFO]).features
    except ValidationError as error:
        raise _wrong(f"{path}: machine_info: {IN_MACHINE_INFO}", error, Processor) from error


def _wrong(where: str, error: ValidationError, model: type[BaseModel]) -> FgbenchError:
    """Return the error to raise for a part of a file that is not valid. A long message may quote the whole file."""
    text = explain(error, model)
    short = text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]} …"
    return FgbenchError(f"{where}: {short}", BENCHMARK_COMMAND)
