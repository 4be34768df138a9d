"""Compare two results folders; compare a night with the kept nights and keep it."""

import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from fgbench.judge.nightly.benchmark_times import RERUN, UNNAMED, BenchmarkTimes, read_benchmark_times
from fgbench.judge.nightly.findings import Check, Comparison, Finding, Kind, build_comparison, take_second_look
from fgbench.judge.nightly.history import Night, baseline_nights, mean_values, read_history
from fgbench.judge.nightly.night_folders import SESSION_FILES, check_night, restore
from fgbench.judge.nightly.night_storage import (
    BASELINE,
    FIXED,
    REFUSED,
    TONIGHT,
    Decision,
    check_outside,
    commit,
    finish_keeping,
    finish_night,
    keep_night,
    read_decision,
)
from fgbench.judge.nightly.quality import compare_quality
from fgbench.judge.nightly.results_folder import ResultsFolder, read_folder
from fgbench.judge.nightly.session_times import compare_sessions
from fgbench.judge.nightly.timing import compare_speed, slower_tonight
from fgbench.records.provenance import git_state
from fgbench.speed.bench_files import COPY, benchmark_files, others_text, without_copies
from fgbench.util.code_hash import hash_code
from fgbench.util.errors import FgbenchError
from fgbench.util.files import expand_user
from fgbench.util.folders import no_folder_error


def compare_folders(
    base: Path, head: Path, base_times: Sequence[Path] = (), head_times: Sequence[Path] = ()
) -> Comparison:
    """Return the comparison of two results folders.

    Args:
        base: results folder of before.
        head: results folder of now.
        base_times: files of pytest-benchmark of before, or folders of them; by default those in `base`.
        head_times: files of pytest-benchmark of now, or folders of them; by default those in `head`.

    Raises:
        FgbenchError: a folder is missing or empty, a file is not from pytest-benchmark, or no row of a named file is
            used.
    """
    (before, notes), (now, more) = _times(base, base_times), _times(head, head_times)
    folders = [_read_nonempty(base, before), _read_nonempty(head, now)]
    quality, value_checks = compare_quality(*folders)
    quality = take_second_look(quality, (), "one odd training can cause it: compare more seeds")
    speed, time_checks = compare_sessions(before, now)
    checks = [*value_checks, *time_checks]
    return build_comparison(str(base), str(head), [*quality, *speed, *notes, *more, *_nothing_compared(checks)], checks)


def _nothing_compared(checks: Sequence[Check], *, fails: bool = True) -> Iterator[Finding]:
    """Yield a finding if no value and no benchmark was compared: that is no proof that nothing differs."""
    if not checks:
        kind: Kind = "was not run" if fails else "note"
        yield Finding(kind, "nights", "comparison", "no value and no benchmark was compared")


def _read_nonempty(folder: Path, times: Sequence[BenchmarkTimes]) -> ResultsFolder:
    """Return the results of a folder; raise FgbenchError if it has neither readable records nor times."""
    results = read_folder(folder)
    if not results.records and results.unreadable:
        hint = f"fgbench verify --results {shlex.quote(str(folder))}"
        raise FgbenchError(f"{folder} has no record that can be read: {results.unreadable[0]}", hint)
    if not results.records and not times:
        raise FgbenchError(
            f"{folder} has no records and no benchmark times",
            f"fgbench reproduce cub --results {shlex.quote(str(folder))}",
        )
    return results


def judge_night(
    folder: Path, *, fixed: Path | None = None, require_baseline: bool = False, accept: bool = False
) -> tuple[Comparison, Night]:
    """Compare the night in `<folder>/tonight` with the kept nights, add it to the history, and keep it.

    A night without failures becomes the baseline; a failure is reported every night until it is fixed or accepted.
    Values are also compared with the fixed baseline, to detect the sum of many small losses. The first night becomes
    both baselines. The caller holds `lock_nights` and calls `finish_night` at the end. Until then, the same call
    continues an interrupted night and returns its result.

    Args:
        folder: contains `tonight` and, from earlier nights, `baseline`, `fixed` and `history.jsonl`.
        fixed: folder of the fixed baseline; by default `<folder>/fixed`. The first night and `accept` write it.
        require_baseline: fail if there is no earlier night.
        accept: make the night the baseline and the fixed baseline despite differences; not if something is broken.

    Raises:
        FgbenchError: there is no such night, the history cannot be read, or a baseline cannot be replaced.
    """
    fixed = folder / FIXED if fixed is None else expand_user(fixed)
    tonight = folder / TONIGHT
    check_outside(folder, fixed)
    # Finish the night of an interrupted program.
    interrupted = read_decision(folder)
    if interrupted:
        if not tonight.is_dir() and accept != interrupted.accept:
            given = "with" if interrupted.accept else "without"
            raise FgbenchError(
                f"the last night of {folder} was judged {given} --accept, and interrupted",
                f"finish it: fgbench nightly --results {folder}{' --accept' if interrupted.accept else ''}",
            )
        finish_keeping(folder, interrupted)
        if not tonight.is_dir():
            return interrupted.result, interrupted.night
        finish_night(folder)
    for kept in (fixed, folder / BASELINE, folder / REFUSED):
        restore(kept)
    decision = _judge(folder, fixed, require_baseline, accept)
    commit(folder, decision)
    keep_night(folder, decision)
    return decision.result, decision.night


def _judge(folder: Path, fixed: Path, require_baseline: bool, accept: bool) -> Decision:
    """Compare the night with the baselines, and decide where it is kept."""
    # Read the night.
    tonight = folder / TONIGHT
    if not tonight.is_dir():
        raise no_folder_error(tonight, "tox -e nightly")
    head = read_folder(tonight)
    check_night(tonight)
    times, broken = _read_times(tonight)
    if not (head.records or head.unreadable or times or broken):
        raise FgbenchError(f"{tonight} has no records and no benchmark times", "tox -e nightly")
    # Compare it with the baselines.
    nights = read_history(folder)
    findings, checks = _compare_values(nights, folder / BASELINE, fixed, head, require_baseline)
    speed = compare_speed(baseline_nights(nights), times, _expected(nights))
    findings, checks = [*findings, *speed.findings], [*checks, *speed.checks]
    findings += _nothing_compared(checks, fails=require_baseline)
    suspects = [finding.where for finding in findings if finding.second_look]
    findings = take_second_look(findings, nights[-1].suspects if nights else ())
    result = build_comparison(_baseline_name(nights, fixed), str(tonight), [*findings, *broken], checks)
    accepted = accept and not result.of_kind("broken")
    passed = accepted or not result.failures
    # Decide what is kept of it.
    values, units = mean_values(head)
    night = Night(
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=str(git_state()["commit"] or ""),
        source=hash_code(),
        passed=passed,
        accepted=accepted,
        values=values,
        units=units,
        benches=_accepted_times(speed.judged, result.failures) if accepted else speed.judged,
        failed=tuple(dict.fromkeys(finding.where for finding in result.failures)),
        suspects=() if accepted else tuple(dict.fromkeys(suspects)),
    )
    replaced = fixed.relative_to(folder) if fixed.is_relative_to(folder) else os.path.realpath(fixed)
    return Decision(
        result=result,
        night=night,
        earlier_nights=len(nights),
        accept=accept,
        fixed=str(replaced) if accepted or (passed and not fixed.is_dir()) else "",
    )


def _compare_values(
    nights: list[Night], baseline: Path, fixed: Path, head: ResultsFolder, require_baseline: bool
) -> tuple[list[Finding], list[Check]]:
    """Return the findings and checks of the values of a night; a missing baseline is a finding."""
    passed = [night for night in nights if night.passed]
    if passed or baseline.is_dir():
        missing = [str(path) for path in (baseline, fixed) if not path.is_dir()]
        if missing or not passed:
            text = f"no value was compared, since {' and '.join(missing) or 'the history'} is missing"
            return [Finding("was not run", "nights", "baseline", text)], []
        quality, checks = compare_quality(read_folder(baseline), head)
        return [*quality, *_against_fixed(fixed, head, quality)], checks
    no_baseline = Finding(
        "was not run" if require_baseline else "note", "nights", "baseline", "there is no earlier night"
    )
    if fixed.is_dir():
        findings, checks = compare_quality(read_folder(fixed), head)
        return [no_baseline, *findings], checks
    # Nothing is compared, but broken records are reported in the first night, too.
    findings, _ = compare_quality(ResultsFolder((), lambda record: {}), head)
    return [no_baseline, *(finding for finding in findings if finding.kind != "new")], []


def _accepted_times(times: Sequence[BenchmarkTimes], failures: Sequence[Finding]) -> tuple[BenchmarkTimes, ...]:
    """Return the times of an accepted night: a benchmark that failed has its new level and no mark."""
    failed = {finding.where for finding in failures}
    return tuple(bench.model_copy(update={"beyond_limit": ""}) if bench.name in failed else bench for bench in times)


def _expected(nights: Sequence[Night]) -> list[str]:
    """Return the names of the benchmarks that the night must have: those of the last night that passed."""
    passed = [night for night in nights if night.passed]
    return [bench.name for bench in passed[-1].benches] if passed else []


def find_slower(folder: Path) -> list[str]:
    """Return the benchmarks of the night in `<folder>/tonight` that look slower, the largest change first.

    Raises:
        FgbenchError: there is no such night, or the history or the times cannot be read.
    """
    tonight = folder / TONIGHT
    if not tonight.is_dir():
        raise no_folder_error(tonight, "tox -e nightly")
    return slower_tonight(baseline_nights(read_history(folder)), _times(tonight)[0])


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


def _read_times(folder: Path) -> tuple[Sequence[BenchmarkTimes], list[Finding]]:
    """Return the times of the judged night with notes; if a file cannot be read, no times and a finding."""
    try:
        return _times(folder)
    except FgbenchError as error:
        return (), [Finding("broken", "speed", "times of this night", str(error).partition("\n")[0])]


def _times(folder: Path, named: Sequence[Path] = ()) -> tuple[Sequence[BenchmarkTimes], list[Finding]]:
    """Return the times in named files or folders, or else those in a folder, and a note for what is left out.

    Raises:
        FgbenchError: a file is not from pytest-benchmark, or no row of a named file is used.
    """
    files, copies = without_copies(benchmark_files(named) if named else sorted(folder.glob(SESSION_FILES)))
    notes = [Finding("note", "speed", str(copy), COPY) for copy in copies]
    used_of: dict[Path, int] = {}

    def count(path: Path, used: int, others: int) -> None:
        used_of[path] = used
        if others:
            notes.append(Finding("note", "speed", str(path), others_text(others)))

    times = read_benchmark_times(files, count)
    for path in named:
        inside = [file for file in benchmark_files([path]) if file in used_of]
        if inside and not any(used_of[file] for file in inside):
            texts = "".join(f"; {note.text}" for note in notes if note.where in map(str, inside))
            raise FgbenchError(f"{path} has no benchmark of fgbench with times of the reference workload{texts}", RERUN)
    if any(bench.machine.startswith(UNNAMED) for bench in times):
        text = "the files of benchmarks do not name their machine: whether it is the same is not known"
        notes.append(Finding("note", "speed", f"machine of {folder}", text))
    return times, notes
