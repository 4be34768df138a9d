"""A comparison for readers and machines: Markdown and JUnit XML."""

import re
from xml.etree import ElementTree

from fgbench.judge.nightly.findings import KINDS, Check, Comparison, Finding

SECTION_TITLES = {
    "broken": "Broken",
    "was not run": "Was not run",
    "changed": "Changed: not comparable by number",
    "worse": "Worse",
    "better": "Better",
    "new": "New",
    "note": "To know",
}
"""Of the sections."""
_CONTROL = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no way to write."""


def markdown(result: Comparison) -> str:
    """As GitHub shows it, such as in `GITHUB_STEP_SUMMARY`."""
    mark = "❌" if result.failures else "✅"
    lines = [f"## {mark} {_text(result.verdict)}", "", f"{_text(result.head)} against {_text(result.base)}", ""]
    for kind in KINDS:
        if own := result.of_kind(kind):
            lines += [f"### {SECTION_TITLES[kind]} ({len(own)})", ""]
            lines += [f"- **{_text(finding.where)}**: {_text(finding.text)}" for finding in own]
            lines.append("")
    for of, title in (("quality", "Values"), ("speed", "Times, as multiples of the reference workload")):
        checks = [check for check in result.checks if check.of == of]
        if checks:
            lines += [f"<details><summary>{title}: {len(checks)} compared</summary>", ""]
            lines += [
                "| | before | now | change | p among all | found 9 of 10 | test |",
                "|---|--:|--:|--:|--:|--:|---|",
            ]
            lines += [_row(check) for check in checks]
            lines += ["", "</details>", ""]
    return "\n".join(lines)


def _row(check: Check) -> str:
    cells = (check.where, check.base, check.head, check.change, f"{check.p:.2g}", check.detectable, check.test)
    return f"| {' | '.join(map(_text, cells))} |"


def _text(text: str) -> str:
    """As it is, though it may hold what Markdown or HTML would take for their own."""
    kept = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", " ")
    return re.sub(r"([\\`*_|\[\]#])", r"\\\1", kept)


def junit(result: Comparison) -> str:
    """JUnit XML: a case for every value and benchmark that was compared, and for every other failure."""
    failing: dict[tuple[str, str], list[Finding]] = {}
    for finding in result.failures:
        failing.setdefault((finding.of, finding.where), []).append(finding)
    cases = dict.fromkeys([*((check.of, check.where) for check in result.checks), *failing])
    top = ElementTree.Element("testsuites", name="fgbench", tests=str(len(cases)), failures=str(len(failing)))
    for of in dict.fromkeys(of for of, _ in cases):
        own = [where for suite, where in cases if suite == of]
        bad = sum((of, where) in failing for where in own)
        suite = ElementTree.SubElement(
            top, "testsuite", name=of, tests=str(len(own)), failures=str(bad), errors="0", skipped="0"
        )
        for where in own:
            case = ElementTree.SubElement(suite, "testcase", classname=f"fgbench.{of}", name=_xml(where))
            if found := failing.get((of, where)):
                kinds = ", ".join(dict.fromkeys(finding.kind for finding in found))
                failure = ElementTree.SubElement(case, "failure", type=kinds, message=_xml(found[0].text))
                failure.text = _xml("\n".join(finding.text for finding in found))
    ElementTree.indent(top)
    return ElementTree.tostring(top, encoding="unicode", xml_declaration=True) + "\n"


def _xml(text: str) -> str:
    return _CONTROL.sub("�", text)
