"""Output of `fgbench compare` and `fgbench nightly`: on the terminal and in files."""

from pathlib import Path

from fgbench.cli.console import out, table
from fgbench.cli.report import write_report
from fgbench.judge.nightly.findings import KINDS, Comparison
from fgbench.judge.nightly.history import Night, read_history
from fgbench.judge.nightly.night_folders import SESSION_FILES
from fgbench.judge.nightly.night_storage import BASELINE, REFUSED
from fgbench.judge.nightly.summary import SECTION_TITLES, junit, markdown
from fgbench.report.html.history_page import history_page
from fgbench.report.html.speed_page import speed_page
from fgbench.speed.bench_rows import read_session
from fgbench.util.errors import FgbenchError
from fgbench.util.files import write_json, write_text

SHOWN = 12
"""Number of comparisons shown on the terminal: those with the smallest p-values."""


def show(result: Comparison) -> None:
    """Print a comparison."""
    for subject, title in (("quality", "values"), ("speed", "times over the reference workload")):
        checks = sorted((check for check in result.checks if check.of == subject), key=lambda check: check.p)
        rows = [
            {
                "what": check.where,
                "before": check.base,
                "now": check.head,
                "change": check.change,
                "p": f"{check.p:.2g}",
                "detectable change": check.detectable,
                "test": check.test,
            }
            for check in checks[:SHOWN]
        ]
        table(f"{title}: {len(checks)} compared{', those nearest to a finding' if len(checks) > SHOWN else ''}", rows)
    for kind in KINDS:
        table(
            SECTION_TITLES[kind].lower(),
            [{"where": finding.where, "what": finding.text} for finding in result.of_kind(kind)],
        )
    out(f"{result.head} against {result.base}: {result.verdict}")


def write(
    result: Comparison, *, to_markdown: Path | None = None, to_junit: Path | None = None, to_json: Path | None = None
) -> None:
    """Write a comparison to the requested files.

    Args:
        result: the comparison.
        to_markdown: file for the summary.
        to_junit: file for JUnit XML.
        to_json: file for all checks and findings.
    """
    if to_markdown:
        write_text(to_markdown, markdown(result))
    if to_junit:
        write_text(to_junit, junit(result))
    if to_json:
        write_json(to_json, result.as_json())


def write_night(result: Comparison, night: Night, folder: Path) -> Path:
    """Write all files and pages of a night.

    The other pages show the records and times of the night; no times if they cannot be read.

    Args:
        result: comparison of the night with earlier nights.
        night: the night.
        folder: results folder of all nights.

    Returns:
        Path of the history page.
    """
    write(result, to_markdown=folder / "summary.md", to_junit=folder / "junit.xml", to_json=folder / "comparison.json")
    pages, records_folder = folder / "report", folder / (BASELINE if night.passed else REFUSED)
    history = history_page(read_history(folder))
    write_report(records_folder, pages, _readable_sessions(records_folder), [history])
    return pages / history.file


def _readable_sessions(folder: Path) -> list[Path]:
    """Return the files of benchmark times of a night, if all of them can be read."""
    files = sorted(folder.glob(SESSION_FILES))
    try:
        speed_page([read_session(path) for path in files])
    except FgbenchError as error:
        out(f"the times of the night cannot be shown: {error}")
        return []
    return files
