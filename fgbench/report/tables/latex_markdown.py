"""LaTeX and Markdown source of sheets. Text from names is escaped: it cannot act as markup."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from fgbench._version import __version__
from fgbench.judge.verdict import Outcome
from fgbench.report.formatting import BADGES
from fgbench.report.tables.sheet import Sheet, SheetCell
from fgbench.util.plain_text import plain

PAGE_ROWS = 40
"""A sheet with more rows becomes a `longtable`, which continues on the next page."""
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
"""LaTeX source of the sign of each outcome; it needs no package."""
_LATEX_ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%",
        "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
    }
)  # fmt: skip


def latex(sheet: Sheet) -> str:
    """Return the LaTeX source of a sheet, in UTF-8, as a `table` or, if it is long, a `longtable`.

    Its first line is a comment with the engines, packages and fonts that it needs.
    """
    is_long = len(sheet.rows) > PAGE_ROWS
    packages = r"\usepackage{booktabs}" + (r", \usepackage{longtable}" if is_long else "")
    # Head and body.
    columns = "".join("r" if is_number else "l" for is_number in sheet.numbers)
    label = re.sub("[^a-z0-9]+", "-", sheet.name.lower())
    caption = rf"\caption{{{latex_text(sheet.caption)}}}\label{{tab:{label}}}"
    column_names = _latex_row([SheetCell(text) for text in sheet.heads])
    head = [r"\toprule", *_latex_groups(sheet), column_names, r"\midrule"]
    body = [_latex_row(row) for row in sheet.rows]
    # Lines below the table.
    signs = ", ".join(f"{SIGNS[outcome]} {outcome}" for outcome in sheet.outcomes)
    lines = [f"{signs}."] if signs else []
    lines += map(latex_text, sheet.remarks)
    lines += (rf"\textsuperscript{{{letter}}} {latex_text(text)}." for letter, text in sheet.notes)
    notes = [r"\par\smallskip", r"{\footnotesize\raggedright", *(rf"{line}\par" for line in lines), "}"]
    notes = notes if lines else []
    if is_long:
        parts = [rf"\begin{{longtable}}{{{columns}}}", rf"{caption}\\", *head, r"\endfirsthead", *head, r"\endhead",
                 r"\bottomrule", r"\endfoot", *body, r"\end{longtable}", *notes]  # fmt: skip
    else:
        parts = [r"\begin{table}", r"\centering", caption, rf"\begin{{tabular}}{{{columns}}}", *head, *body,
                 r"\bottomrule", r"\end{tabular}", *notes, r"\end{table}"]  # fmt: skip
    needs = f"UTF-8: needs lualatex or xelatex, a font with all of its characters, {packages}"
    return "\n".join([f"% fgbench {__version__}; {needs}", *parts, ""])


def _latex_groups(sheet: Sheet) -> list[str]:
    """The line of heads above the heads, and the rules below it."""
    if not sheet.groups:
        return []
    heads, rules, first = [], [], 1
    for text, span in sheet.groups:
        heads.append(rf"\multicolumn{{{span}}}{{c}}{{{latex_text(text)}}}" if span > 1 else latex_text(text))
        if text:
            rules.append(rf"\cmidrule(lr){{{first}-{first + span - 1}}}")
        first += span
    return [" & ".join(heads) + r" \\", " ".join(rules)]


def _latex_row(cells: Sequence[SheetCell]) -> str:
    texts = []
    for cell in cells:
        sign = SIGNS[cell.outcome] if cell.outcome else ""
        text = " ".join(filter(None, (sign, latex_text(cell.text))))
        texts.append(text + (rf"\textsuperscript{{{cell.note}}}" if cell.note else ""))
    line = " & ".join(texts)
    # At the start of a line, `[` or `*` would be an argument of the `\\` before it.
    return ("{}" if line[:1] in {"[", "*"} else "") + line + r" \\"


def latex_text(text: str) -> str:
    """Return text on one line, without control characters, that LaTeX prints as it is.

    Special characters are escaped, and an empty group separates characters that LaTeX would join, such as `--`.
    """
    line = "".join(sign for sign in " ".join(text.split()) if not unicodedata.category(sign).startswith("C"))
    return re.sub(r"([-`'?!])(?=[-`'])", r"\1{}", line.translate(_LATEX_ESCAPES))


def markdown(sheet: Sheet) -> str:
    """Return a sheet as a Markdown table, with its remarks and footnotes below."""
    names = iter(text for text, span in sheet.groups for _ in range(span))
    heads = [": ".join(filter(None, (next(names, ""), head))) for head in sheet.heads]
    rule = ["--:" if is_number else ":--" for is_number in sheet.numbers]
    rows = [_markdown_row(map(markdown_text, heads)), _markdown_row(rule)]
    rows += [_markdown_row(map(_markdown_cell, row)) for row in sheet.rows]
    notes = [", ".join(f"{BADGES[outcome].shape} {outcome}" for outcome in sheet.outcomes)] if sheet.outcomes else []
    notes += [markdown_text(remark) for remark in sheet.remarks]
    notes += [f"<sup>{letter}</sup> {markdown_text(text)}" for letter, text in sheet.notes]
    return "\n".join([f"**{markdown_text(sheet.caption)}**", "", *rows, "", *(f"{note}\n" for note in notes)])


def _markdown_row(texts: Iterable[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _markdown_cell(cell: SheetCell) -> str:
    sign = BADGES[cell.outcome].shape if cell.outcome else ""
    return " ".join(filter(None, (sign, markdown_text(cell.text)))) + (f"<sup>{cell.note}</sup>" if cell.note else "")


def markdown_text(text: str) -> str:
    """Return text on one line with control characters and the special characters of Markdown escaped."""
    return re.sub(r"([\\`*_{}\[\]<#|~&$])", r"\\\1", plain(" ".join(text.split())))
