"""Sheets as LaTeX and as Markdown. Whatever names hold stays text in both."""

import re
import unicodedata
from collections.abc import Iterator

from fgbench._version import __version__
from fgbench.judge.verdict import Outcome
from fgbench.report.html.model import BADGES
from fgbench.report.tables.sheet import Entry, Sheet

PAGE_ROWS = 40
"""More rows than that go over several pages."""
SIGNS = {
    Outcome.REPRODUCED: r"$\bullet$",
    Outcome.EXCEEDS: r"$\bigtriangleup$",
    Outcome.NOT_REPRODUCED: r"$\bigtriangledown$",
    Outcome.INCONCLUSIVE: r"$\diamond$",
    Outcome.NOT_COMPARABLE: r"$\neq$",
    Outcome.NOT_RUN: r"$\circ$",
    Outcome.BLOCKED: r"$\times$",
    Outcome.CONTEXT: r"$\cdot$",
}
"""Signs that LaTeX has without further packages."""
_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\char34{}",
    "–": "--", "—": "---", "×": r"\ensuremath{\times}", "±": r"\ensuremath{\pm}", "−": r"\ensuremath{-}",  # noqa: RUF001
    "≤": r"\ensuremath{\leq}", "≥": r"\ensuremath{\geq}", "→": r"\ensuremath{\rightarrow}", "\u00a0": "~",
    "ß": r"\ss{}", "ø": r"\o{}", "Ø": r"\O{}", "æ": r"\ae{}", "Æ": r"\AE{}", "œ": r"\oe{}", "Œ": r"\OE{}",
    "ł": r"\l{}", "Ł": r"\L{}",
}  # fmt: skip
_ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u", "\u0307": ".",
    "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0327": "c",
}  # fmt: skip
_GREEK = [
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi",
    "o", "pi", "rho", "varsigma", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega",
]  # fmt: skip
_LIGATURES = re.compile(r"""(?<=-)(?=-)|(?<=')(?=')|(?<=[`?!])(?=`)|(?<=,)(?=,)""")


def latex(sheet: Sheet) -> str:
    r"""A sheet for LaTeX, in ASCII, with the rules of booktabs; `longtable` too where it is longer than a page."""
    long = len(sheet.rows) > PAGE_ROWS
    columns = "".join("r" if number else "l" for number in sheet.numbers)
    needs = r"\usepackage{booktabs}" + (r", \usepackage{longtable}" if long else "")
    title = rf"\caption{{{latex_text(sheet.caption)}}}\label{{tab:{re.sub('[^a-z0-9]+', '-', sheet.name.lower())}}}"
    head = [r"\toprule", *_latex_groups(sheet), _latex_row([Entry(text) for text in sheet.heads]), r"\midrule"]
    body = [_latex_row(row) for row in sheet.rows]
    below = [f"{SIGNS[outcome]} {outcome}" for outcome in sheet.outcomes]
    lines = [", ".join(below) + "."] if below else []
    lines += map(latex_text, sheet.remarks)
    lines += (rf"\textsuperscript{{{letter}}} {latex_text(text)}." for letter, text in sheet.notes)
    notes = (
        [r"\par\smallskip", r"{\footnotesize\raggedright", *(rf"{line}\par" for line in lines), "}"] if lines else []
    )
    if long:
        parts = [rf"\begin{{longtable}}{{{columns}}}", rf"{title}\\", *head, r"\endfirsthead", *head, r"\endhead",
                 r"\bottomrule", r"\endfoot", *body, r"\end{longtable}", *notes]  # fmt: skip
    else:
        parts = [r"\begin{table}", r"\centering", title, rf"\begin{{tabular}}{{{columns}}}", *head, *body,
                 r"\bottomrule", r"\end{tabular}", *notes, r"\end{table}"]  # fmt: skip
    return "\n".join([f"% fgbench {__version__}; needs {needs}", *parts, ""])


def _latex_groups(sheet: Sheet) -> list[str]:
    if not sheet.groups:
        return []
    heads, rules, first = [], [], 1
    for text, span in sheet.groups:
        heads.append(rf"\multicolumn{{{span}}}{{c}}{{{latex_text(text)}}}" if span > 1 else latex_text(text))
        if text:
            rules.append(rf"\cmidrule(lr){{{first}-{first + span - 1}}}")
        first += span
    return [" & ".join(heads) + r" \\", " ".join(rules)]


def _latex_row(entries: list[Entry] | tuple[Entry, ...]) -> str:
    texts = []
    for entry in entries:
        sign = SIGNS[entry.outcome] if entry.outcome else ""
        texts.append(sign + latex_text(entry.text) + (rf"\textsuperscript{{{entry.note}}}" if entry.note else ""))
    line = " & ".join(texts)
    # Not to be taken for an argument of what ends the line before.
    return ("{}" if line[:1] in {"[", "*"} else "") + line + r" \\"


def latex_text(text: str) -> str:
    """Text for LaTeX in ASCII: what is special is escaped, and a sign that LaTeX may lack is named by its number."""
    return "".join(sign if sign == "{}" else _latex_sign(sign) for sign in _apart(" ".join(text.split())))


def _apart(text: str) -> Iterator[str]:
    """The signs of a text, and `{}` between two that LaTeX would make one."""
    for number, part in enumerate(_LIGATURES.split(text)):
        if number:
            yield "{}"
        yield from part


def _latex_sign(sign: str) -> str:
    if sign in _SPECIAL:
        return _SPECIAL[sign]
    if " " <= sign < "\x7f":
        return sign
    base, *marks = tuple(unicodedata.normalize("NFD", sign))
    if base.isascii() and base.isalpha() and len(marks) == 1 and marks[0] in _ACCENTS:
        return rf"\{_ACCENTS[marks[0]]}{{{base}}}"
    if "\u03b1" <= sign <= "\u03c9":
        return rf"\ensuremath{{\{_GREEK[ord(sign) - 0x3B1]}}}".replace(r"\o}", "o}")
    return _code(sign)


def _code(sign: str) -> str:
    return f"[U+{ord(sign):04X}]"


def markdown(sheet: Sheet) -> str:
    """A sheet as a table of Markdown, with what is below it."""
    names = iter(text for text, span in sheet.groups for _ in range(span))
    heads = [": ".join(filter(None, (next(names, ""), head))) for head in sheet.heads]
    rule = ["--:" if number else ":--" for number in sheet.numbers]
    rows = [_markdown_row(map(markdown_text, heads)), _markdown_row(rule)]
    rows += [_markdown_row(map(_markdown_entry, row)) for row in sheet.rows]
    notes = [", ".join(f"{BADGES[outcome].shape} {outcome}" for outcome in sheet.outcomes)] if sheet.outcomes else []
    notes += [markdown_text(remark) for remark in sheet.remarks]
    notes += [f"<sup>{letter}</sup> {markdown_text(text)}" for letter, text in sheet.notes]
    return "\n".join([f"**{markdown_text(sheet.caption)}**", "", *rows, "", *(f"{note}\n" for note in notes)])


def _markdown_row(texts: "list[str] | map[str]") -> str:
    return f"| {' | '.join(texts)} |"


def _markdown_entry(entry: Entry) -> str:
    sign = BADGES[entry.outcome].shape if entry.outcome else ""
    return sign + markdown_text(entry.text) + (f"<sup>{entry.note}</sup>" if entry.note else "")


def markdown_text(text: str) -> str:
    """Text for Markdown: on one line, and with no sign that would be taken for markup."""
    return re.sub(r"([\\`*_{}\[\]<#|~&$])", r"\\\1", " ".join(text.split()))
