"""Two folders compared; and a night held against those kept before it, and kept."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from fgbench.judge.nightly.benchmark_times import BenchmarkTimes, read_benchmark_times
from fgbench.judge.nightly.findings import Check, Comparison, Finding, build_comparison
from fgbench.judge.nightly.history import Night, append_night, baseline_nights, mean_values, read_history
from fgbench.judge.nightly.quality import compare_quality
from fgbench.judge.nightly.results_folder import ResultsFolder, read_folder
from fgbench.judge.nightly.timing import compare_speed
from fgbench.records.provenance import git_state
from fgbench.records.store import RECORDS
from fgbench.util.code_hash import hash_code
from fgbench.util.errors import FgbenchError

TONIGHT, BASELINE, REFUSED, FIXED = "tonight", "baseline", "refused", "fixed"
"""Folders of a results folder: the night that is being judged, the last that passed, the last that did not, and the
first, or the last that somebody accepted."""
SESSION_FILES = "benchmarks*.json"
"""Files of pytest-benchmark in a night's folder."""


def compare_folders(
    base: Path, head: Path, base_times: Sequence[Path] = (), head_times: Sequence[Path] = ()
) -> Comparison:
    """Two folders of results, with the files of pytest-benchmark that lie in them or are named.

    Raises:
        FgbenchError: a folder is missing or has nothing to be compared, or a file is not pytest-benchmark's.
    """
    before, now = _times(base, base_times), _times(head, head_times)
    kept = [_some(base, before), _some(head, now)]
    found, checks = compare_quality(*kept)
    more, others = compare_speed([before], now, [bench.name for bench in before])
    return build_comparison(str(base), str(head), [*found, *more], [*checks, *others])


def _some(folder: Path, times: Sequence[BenchmarkTimes]) -> ResultsFolder:
    """What a folder keeps, at least one thing of which can be read."""
    kept = read_folder(folder)
    if not kept.records and kept.unreadable:
        raise FgbenchError(f"{folder} has no record that can be read: {kept.unreadable[0]}", "fgbench verify FOLDER")
    if not kept.records and not times:
        raise FgbenchError(
            f"{folder} has no records and no times of benchmarks", "fgbench reproduce cub --results FOLDER"
        )
    return kept


def judge_night(
    folder: Path, *, fixed: Path | None = None, require_baseline: bool = False, accept: bool = False
) -> tuple[Comparison, Night]:
    """Hold the night in `<folder>/tonight` against those kept, add it to the history, and keep it.

    It becomes the baseline where nothing in it fails, so that what got worse is told every night until it is mended or
    accepted. Values are held against the fixed baseline too, lest many small losses pass one by one. The first night
    is the first of both.

    Args:
        folder: with `tonight`, and of nights before `baseline`, `fixed` and `history.jsonl`.
        fixed: where the fixed baseline is kept instead of `<folder>/fixed`; written by the first night and `accept`.
        require_baseline: fail where no night is kept yet.
        accept: make it the baseline, and the fixed one, whatever differs; not with anything broken in it.

    Raises:
        FgbenchError: there is no such night, or the history cannot be read.
    """
    tonight, baseline, fixed = folder / TONIGHT, folder / BASELINE, fixed or folder / FIXED
    head = read_folder(tonight)
    times, broken = _tonight(tonight)
    if not (head.records or head.unreadable or times or broken):
        raise FgbenchError(f"{tonight} has no records and no times of benchmarks", "tox -e nightly")
    nights = read_history(folder)
    found, checks = _held(nights, baseline, fixed, head, times, require_baseline)
    result = build_comparison(_said(nights, fixed), str(tonight), [*found, *broken], checks)
    accepted = accept and not result.of_kind("broken")
    passed = accepted or not result.failures
    values, units = mean_values(head)
    night = Night(
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=str(git_state()["commit"] or ""),
        source=hash_code(),
        passed=passed,
        accepted=accepted,
        values=values,
        units=units,
        benches=times,
        failed=tuple(dict.fromkeys(finding.where for finding in result.failures)),
    )
    append_night(folder, night)
    if accepted or (passed and not fixed.is_dir()):
        _keep(tonight, fixed)
    _keep(tonight, baseline if passed else folder / REFUSED)
    shutil.rmtree(tonight)
    return result, night


def _keep(night: Path, place: Path) -> None:
    """A copy of what a night is compared by: records and times, without the unfinished work."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for path in night.glob(SESSION_FILES):
        shutil.copy2(path, place)
    if (night / RECORDS).is_dir():
        shutil.copytree(night / RECORDS, place / RECORDS)


def _held(
    nights: list[Night],
    baseline: Path,
    fixed: Path,
    head: ResultsFolder,
    times: Sequence[BenchmarkTimes],
    require_baseline: bool,
) -> tuple[list[Finding], list[Check]]:
    """The findings of a night, of which the first is that there is nothing to hold it against."""
    passed = [night for night in nights if night.passed]
    if passed or baseline.is_dir():
        missing = [str(place) for place in (baseline, fixed) if not place.is_dir()]
        if missing or not passed:
            text = f"nothing was compared: {' and '.join(missing) or 'the history'} is not there"
            return [Finding("was not run", "nights", "baseline", text)], []
        found, checks = compare_quality(read_folder(baseline), head)
        more, others = compare_speed(baseline_nights(nights), times, [bench.name for bench in passed[-1].benches])
        return [*found, *_against(fixed, head, found), *more], [*checks, *others]
    text = "no night is kept yet"
    first = Finding("was not run" if require_baseline else "note", "nights", "baseline", text)
    if fixed.is_dir():
        found, checks = compare_quality(read_folder(fixed), head)
        return [first, *found], checks
    # Nothing is compared, but what cannot be is wrong on the first night too.
    alone, _ = compare_quality(ResultsFolder((), lambda record: {}), head)
    return [first, *(finding for finding in alone if finding.kind != "new")], []


def _against(fixed: Path, head: ResultsFolder, told: Sequence[Finding]) -> Iterator[Finding]:
    """What fails against the fixed baseline, and is not told yet."""
    known = {(finding.kind, finding.where) for finding in told}
    for finding in compare_quality(read_folder(fixed), head)[0]:
        if finding.fails and (finding.kind, finding.where) not in known:
            yield replace(finding, text=f"against the fixed baseline: {finding.text}")


def _said(nights: Sequence[Night], fixed: Path) -> str:
    passed = [night for night in nights if night.passed]
    if not passed:
        return str(fixed) if fixed.is_dir() else "no night"
    return f"the night of {passed[-1].finished[:16].replace('T', ' ')} UTC" + (
        f" ({passed[-1].commit[:12]})" if passed[-1].commit else ""
    )


def _tonight(folder: Path, named: Sequence[Path] = ()) -> tuple[tuple[BenchmarkTimes, ...], list[Finding]]:
    """The times of the night that is judged; where a file cannot be read, none, and why."""
    try:
        return _times(folder, named), []
    except FgbenchError as error:
        return (), [Finding("broken", "speed", "times of this night", str(error).partition("\n")[0])]


def _times(folder: Path, named: Sequence[Path] = ()) -> tuple[BenchmarkTimes, ...]:
    return read_benchmark_times(named or sorted(folder.glob(SESSION_FILES)))
