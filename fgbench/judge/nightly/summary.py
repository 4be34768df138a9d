"""A comparison as Markdown and as JUnit XML."""

import re
from xml.etree import ElementTree

from fgbench.judge.nightly.findings import KINDS, Check, Comparison, Finding
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
_CONTROL = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 does not allow."""


def markdown(result: Comparison) -> str:
    """Return a comparison as Markdown of GitHub, for `GITHUB_STEP_SUMMARY`."""
    mark = "❌" if result.failures else "✅"
    lines = [f"## {mark} {_text(result.verdict)}", "", f"{_text(result.head)} against {_text(result.base)}", ""]
    for kind in KINDS:
        if findings := result.of_kind(kind):
            lines += [f"### {SECTION_TITLES[kind]} ({len(findings)})", ""]
            lines += [f"- **{_text(finding.where)}**: {_text(finding.text)}" for finding in findings]
            lines.append("")
    for of, title in (("quality", "Values"), ("speed", "Times, as multiples of the reference workload")):
        checks = [check for check in result.checks if check.of == of]
        if checks:
            lines += [f"<details><summary>{title}: {len(checks)} compared</summary>", ""]
            lines += [
                "| | before | now | change | adjusted p | detectable change | test |",
                "|---|--:|--:|--:|--:|--:|---|",
            ]
            lines += [_row(check) for check in checks]
            lines += ["", "</details>", ""]
    return "\n".join(lines)


def _row(check: Check) -> str:
    cells = (check.where, check.base, check.head, check.change, f"{check.p:.2g}", check.detectable, check.test)
    return f"| {' | '.join(map(_text, cells))} |"


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
    """Return a comparison as JUnit XML: one case for each compared value or benchmark and for each other failure."""
    failing: dict[tuple[str, str], list[Finding]] = {}
    for finding in result.failures:
        failing.setdefault((finding.of, finding.where), []).append(finding)
    cases = dict.fromkeys([*((check.of, check.where) for check in result.checks), *failing])
    top = ElementTree.Element("testsuites", name="fgbench", tests=str(len(cases)), failures=str(len(failing)))
    for of in dict.fromkeys(of for of, _ in cases):
        names = [where for suite, where in cases if suite == of]
        failed = sum((of, where) in failing for where in names)
        suite = ElementTree.SubElement(
            top, "testsuite", name=of, tests=str(len(names)), failures=str(failed), errors="0", skipped="0"
        )
        for where in names:
            case = ElementTree.SubElement(suite, "testcase", classname=f"fgbench.{of}", name=_xml(where))
            if findings := failing.get((of, where)):
                kinds = ", ".join(dict.fromkeys(finding.kind for finding in findings))
                failure = ElementTree.SubElement(case, "failure", type=kinds, message=_xml(findings[0].text))
                failure.text = _xml("\n".join(finding.text for finding in findings))
    ElementTree.indent(top)
    return ElementTree.tostring(top, encoding="unicode", xml_declaration=True) + "\n"


def _xml(text: str) -> str:
    return _CONTROL.sub("�", plain(text))
