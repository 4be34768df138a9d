"""Compare two results folders; compare a night with the kept nights and keep it."""

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
"""Folders of a results folder: the night to judge, the last that passed, the last that failed, and the fixed baseline
(the first night or the last accepted one)."""
SESSION_FILES = "benchmarks*.json"
"""Pattern of the files of pytest-benchmark in the folder of a night."""


def compare_folders(
    base: Path, head: Path, base_times: Sequence[Path] = (), head_times: Sequence[Path] = ()
) -> Comparison:
    """Return the comparison of two results folders.

    Args:
        base: results folder of before.
        head: results folder of now.
        base_times: files of pytest-benchmark of before; by default those in `base`.
        head_times: files of pytest-benchmark of now; by default those in `head`.

    Raises:
        FgbenchError: a folder is missing or empty, or a file is not from pytest-benchmark.
    """
    before, now = _times(base, base_times), _times(head, head_times)
    folders = [_read_nonempty(base, before), _read_nonempty(head, now)]
    quality, value_checks = compare_quality(*folders)
    speed, time_checks = compare_speed([before], now, [bench.name for bench in before])
    return build_comparison(str(base), str(head), [*quality, *speed], [*value_checks, *time_checks])


def _read_nonempty(folder: Path, times: Sequence[BenchmarkTimes]) -> ResultsFolder:
    """Return the results of a folder; raise FgbenchError if it has neither readable records nor times."""
    results = read_folder(folder)
    if not results.records and results.unreadable:
        raise FgbenchError(f"{folder} has no record that can be read: {results.unreadable[0]}", "fgbench verify FOLDER")
    if not results.records and not times:
        raise FgbenchError(f"{folder} has no records and no benchmark times", "fgbench reproduce cub --results FOLDER")
    return results


def judge_night(
    folder: Path, *, fixed: Path | None = None, require_baseline: bool = False, accept: bool = False
) -> tuple[Comparison, Night]:
    """Compare the night in `<folder>/tonight` with the kept nights, add it to the history, and keep it.

    A night without failures becomes the baseline; a failure is reported every night until it is fixed or accepted.
    Values are also compared with the fixed baseline, to detect the sum of many small losses. The first night becomes
    both baselines.

    Args:
        folder: contains `tonight` and, from earlier nights, `baseline`, `fixed` and `history.jsonl`.
        fixed: folder of the fixed baseline; by default `<folder>/fixed`. The first night and `accept` write it.
        require_baseline: fail if there is no earlier night.
        accept: make the night the baseline and the fixed baseline despite differences; not if something is broken.

    Raises:
        FgbenchError: there is no such night, or the history cannot be read.
    """
    # Read the night.
    tonight, baseline, fixed = folder / TONIGHT, folder / BASELINE, fixed or folder / FIXED
    head = read_folder(tonight)
    times, broken = _read_times(tonight)
    if not (head.records or head.unreadable or times or broken):
        raise FgbenchError(f"{tonight} has no records and no benchmark times", "tox -e nightly")
    # Compare it with the baselines.
    nights = read_history(folder)
    findings, checks = _compare_with_baselines(nights, baseline, fixed, head, times, require_baseline)
    result = build_comparison(_baseline_name(nights, fixed), str(tonight), [*findings, *broken], checks)
    accepted = accept and not result.of_kind("broken")
    passed = accepted or not result.failures
    # Add it to the history.
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
    # Keep it as baseline or as failed night.
    if accepted or (passed and not fixed.is_dir()):
        _keep(tonight, fixed)
    _keep(tonight, baseline if passed else folder / REFUSED)
    shutil.rmtree(tonight)
    return result, night


def _keep(night: Path, target: Path) -> None:
    """Copy the records and times of a night, without unfinished runs."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for path in night.glob(SESSION_FILES):
        shutil.copy2(path, target)
    if (night / RECORDS).is_dir():
        shutil.copytree(night / RECORDS, target / RECORDS)


def _compare_with_baselines(
    nights: list[Night],
    baseline: Path,
    fixed: Path,
    head: ResultsFolder,
    times: Sequence[BenchmarkTimes],
    require_baseline: bool,
) -> tuple[list[Finding], list[Check]]:
    """Return the findings and checks of a night; a missing baseline is a finding."""
    passed = [night for night in nights if night.passed]
    if passed or baseline.is_dir():
        missing = [str(path) for path in (baseline, fixed) if not path.is_dir()]
        if missing or not passed:
            text = f"nothing was compared, since {' and '.join(missing) or 'the history'} is missing"
            return [Finding("was not run", "nights", "baseline", text)], []
        quality, value_checks = compare_quality(read_folder(baseline), head)
        speed, time_checks = compare_speed(baseline_nights(nights), times, [bench.name for bench in passed[-1].benches])
        return [*quality, *_against_fixed(fixed, head, quality), *speed], [*value_checks, *time_checks]
    no_baseline = Finding(
        "was not run" if require_baseline else "note", "nights", "baseline", "there is no earlier night"
    )
    if fixed.is_dir():
        findings, checks = compare_quality(read_folder(fixed), head)
        return [no_baseline, *findings], checks
    # Nothing is compared, but broken records are reported in the first night, too.
    findings, _ = compare_quality(ResultsFolder((), lambda record: {}), head)
    return [no_baseline, *(finding for finding in findings if finding.kind != "new")], []


def _against_fixed(fixed: Path, head: ResultsFolder, reported: Sequence[Finding]) -> Iterator[Finding]:
    """Yield the failures against the fixed baseline that are not reported yet."""
    known = {(finding.kind, finding.where) for finding in reported}
    for finding in compare_quality(read_folder(fixed), head)[0]:
        if finding.fails and (finding.kind, finding.where) not in known:
            yield replace(finding, text=f"against the fixed baseline: {finding.text}")


def _baseline_name(nights: Sequence[Night], fixed: Path) -> str:
    passed = [night for night in nights if night.passed]
    if not passed:
        return str(fixed) if fixed.is_dir() else "no earlier night"
    return f"the night of {passed[-1].finished[:16].replace('T', ' ')} UTC" + (
        f" ({passed[-1].commit[:12]})" if passed[-1].commit else ""
    )


def _read_times(folder: Path) -> tuple[tuple[BenchmarkTimes, ...], list[Finding]]:
    """Return the times of the judged night; if a file cannot be read, no times and a finding."""
    try:
        return _times(folder), []
    except FgbenchError as error:
        return (), [Finding("broken", "speed", "times of this night", str(error).partition("\n")[0])]


def _times(folder: Path, named: Sequence[Path] = ()) -> tuple[BenchmarkTimes, ...]:
    return read_benchmark_times(named or sorted(folder.glob(SESSION_FILES)))
