"""A comparison as Markdown and as JUnit XML."""

import re
from xml.etree import ElementTree

from fgbench.judge.nightly.findings import KINDS, Comparison, Row
from fgbench.util.counted import counted
from fgbench.util.plain_text import plain

SECTION_TITLES = {
    "broken": "Broken",
    "was not run": "Was not run",
    "changed": "Changed: not comparable by number",
    "worse": "Worse",
    "better": "Better",
    "new": "New",
    "note": "Notes",
}
"""Titles of the sections."""
TABLE_TITLES = {"quality": "Values", "speed": "Times, as multiples of the reference workload", "nights": "Nights"}
"""Titles of the tables."""
_CONTROL = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 does not allow."""


def markdown(result: Comparison) -> str:
    """Return a comparison as Markdown of GitHub, for `GITHUB_STEP_SUMMARY`."""
    mark = "❌" if result.failures else "✅" if result.checks else "⚪"
    lines = [f"## {mark} {_text(result.verdict)}", "", f"{_text(result.head)} against {_text(result.base)}", ""]
    for kind in KINDS:
        if findings := result.of_kind(kind):
            lines += [f"### {SECTION_TITLES[kind]} ({len(findings)})", ""]
            lines += [f"- **{_text(finding.where)}**: {_text(finding.text)}" for finding in findings]
            lines.append("")
    for of, title in TABLE_TITLES.items():
        rows = [row for row in result.rows if row.of == of]
        if rows:
            lines += [f"<details><summary>{title}: {counted(len(rows), 'test')}</summary>", ""]
            lines += [
                "| | result | before | now | change | adjusted p | detectable change | test |",
                "|---|---|--:|--:|--:|--:|--:|---|",
            ]
            lines += [_row(row) for row in rows]
            lines += ["", "</details>", ""]
    return "\n".join(lines)


def _row(row: Row) -> str:
    check = row.check
    numbers = (
        (check.base, check.head, check.change, f"{check.p:.2g}", check.detectable, check.test) if check else ("",) * 6
    )
    return f"| {' | '.join(map(_text, (row.name, row.result, *numbers)))} |"


def _text(text: str) -> str:
    """Return text with control characters and the characters of Markdown and HTML escaped."""
    escaped = (
        plain(text)
        .replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace("\n", " ")
        .replace("\t", " ")
    )
    return re.sub(r"([\\`*_|\[\]#])", r"\\\1", escaped)


def junit(result: Comparison) -> str:
    """Return a comparison as JUnit XML: one test case for each row of the tables of `markdown`."""
    rows = result.rows
    failed = sum(bool(row.failures) for row in rows)
    top = ElementTree.Element("testsuites", name="fgbench", tests=str(len(rows)), failures=str(failed))
    for of in dict.fromkeys(row.of for row in rows):
        of_suite = [row for row in rows if row.of == of]
        failures = str(sum(bool(row.failures) for row in of_suite))
        skipped = str(sum(bool(row.skipped) for row in of_suite))
        suite = ElementTree.SubElement(
            top, "testsuite", name=of, tests=str(len(of_suite)), failures=failures, errors="0", skipped=skipped
        )
        for row in of_suite:
            case = ElementTree.SubElement(suite, "testcase", classname=f"fgbench.{of}", name=_xml(row.name))
            if row.failures:
                message = _xml(row.failures[0].text)
                failure = ElementTree.SubElement(case, "failure", type=row.result, message=message)
                failure.text = _xml("\n".join(finding.text for finding in row.failures))
            elif row.skipped:
                ElementTree.SubElement(case, "skipped", message=_xml(row.skipped))
    ElementTree.indent(top)
    return ElementTree.tostring(top, encoding="unicode", xml_declaration=True) + "\n"


def _xml(text: str) -> str:
    return _CONTROL.sub("�", plain(text))
