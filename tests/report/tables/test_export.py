# ruff: noqa: RUF001
import io
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import pandas as pd
import pytest
from command_line import run
from made_records import RECIPES
from stored_records import DEVIATIONS, ODD, write_record

import fgbench
from fgbench.judge.verdict import Outcome, judge
from fgbench.metrics.values import Value
from fgbench.papers.printed import load_papers
from fgbench.records.record import Record
from fgbench.report.tables.export import export
from fgbench.report.tables.latex_markdown import SIGNS, latex, latex_text, markdown, markdown_text
from fgbench.report.tables.sheet import INTERVAL, SheetCell, comparison_sheet
from fgbench.util.errors import FgbenchError

pytestmark = pytest.mark.usefixtures("any_values")

HOSTILE = (
    "[x] a & b % _ # $ { } ~ ^ \\input{/etc/passwd} <script>alert(1)</script> | `x` --- ?` µ é Ş α ω ł 漢\n\\end{table}"
)
HEADER = r"\documentclass{article}\usepackage{booktabs,longtable}\nonstopmode\begin{document}"
BCNN = load_papers()["bcnn"]
WHOLE = next(table for table in BCNN.tables if table.id == "t1")
NARROW = (0, 4, 6)
T1 = WHOLE.model_copy(
    update={
        "columns": tuple(WHOLE.columns[n] for n in NARROW),
        "rows": tuple(row.model_copy(update={"values": tuple(row.values[n] for n in NARROW)}) for row in WHOLE.rows),
    }
)
"""Table 1 with three of its columns, which fit beside each other."""


@pytest.fixture
def folder(tmp_path):
    values = {name: Value(value=value, unit="x", n=7) for name, value in ODD.items()}
    write_record(
        tmp_path / "records", values=values, title=HOSTILE, provenance={"finished": "2026-11-21T06:18:16+00:00"}
    )
    write_record(tmp_path / "records", run_id="b" * 16, seed=1)
    return tmp_path


def judged(tmp_path, paper=BCNN, **fields):
    record = write_record(tmp_path / "judged", **fields)
    return [judge(cell, [record], {}, RECIPES) for cell in paper.cells()]


def check_latex(text):
    """What a LaTeX compiler would trip over: braces, environments, the columns of every row."""
    body = re.sub(r"\\[\\{}&%$#_]", "", text)
    assert all(body[:i].count("{") >= body[:i].count("}") for i in range(len(body)))
    assert body.count("{") == body.count("}")
    assert body.count("$") % 2 == 0
    open_ = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", body):
        if kind == "begin":
            open_.append(name)
        else:
            assert open_.pop() == name
    assert not open_
    ((_, columns),) = re.findall(r"\\begin\{(tabular|longtable)\}\{(\w+)\}", text)
    rows = [line for line in text.splitlines() if line.endswith(r"\\") and not line.startswith(r"\caption")]
    assert len(rows) >= 2
    for row in rows:
        spans = [int(span) - 1 for span in re.findall(r"\\multicolumn\{(\d+)\}", row)]
        assert len(re.findall(r"(?<!\\)&", row)) + 1 + sum(spans) == len(columns), row
        assert not row.startswith(("[", "*"))
    for first, last in re.findall(r"\\cmidrule\(lr\)\{(\d+)-(\d+)\}", text):
        assert 1 <= int(first) <= int(last) <= len(columns)
    return rows


def compile_latex(text, folder):
    if not shutil.which("lualatex"):
        return
    (folder / "t.tex").write_text(f"{HEADER}\n{text}\n\\end{{document}}\n", encoding="utf-8")
    done = subprocess.run(
        ["lualatex", "-no-shell-escape", "t.tex"], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert not re.findall(r"^!.*", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("style", ["csv", "parquet", "json"])
def test_files_give_back_every_bit(folder, style):
    file, expected = folder / f"values.{style}", fgbench.load(folder)
    export("values", folder, None, file)
    if style == "csv":
        again = pd.read_csv(file)
    elif style == "parquet":
        again = pd.read_parquet(file)
        assert again.dtypes.astype(str).tolist() == expected.dtypes.astype(str).tolist()
        assert again.equals(expected)
    else:
        again = pd.DataFrame(json.loads(file.read_text(encoding="utf-8")))
    assert list(again) == list(expected)
    for name in ("value", "low", "high", "wall_s"):
        got = [float(x).hex() for x in again[name].astype(float)]
        assert got == [float(x).hex() for x in expected[name]]
    assert set(again.title) == set(expected.title) >= {HOSTILE}


def test_missing_things_are_null_in_json_and_nothing_in_csv(folder):
    export("verdicts", folder, "json", folder / "v.json")
    rows = json.loads((folder / "v.json").read_text())
    blocked = next(row for row in rows if row["cell"] == "t1/bcnn_dd/birds")
    assert (blocked["measured"], blocked["seeds"], blocked["synthetic"]) == (None, 0, None)
    code, text = run("export", "verdicts", "--results", str(folder))
    assert code == 0
    lines = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False).set_index("cell")
    assert list(lines.loc["t1/bcnn_dd/birds", ["measured", "seeds", "synthetic"]]) == ["", "0", ""]


def test_a_paper_or_one_of_its_tables(folder):
    frame = fgbench.verdicts(folder)
    for name, expected in (
        ("bcnn", frame[frame.paper == "bcnn"]),
        ("bcnn/t1", frame[(frame.paper == "bcnn") & frame.cell.str.startswith("t1/")]),
        ("cells", fgbench.cells()),
    ):
        export(name, folder, "csv", folder / "x.csv")
        again = pd.read_csv(folder / "x.csv", keep_default_na=False)
        assert list(again.cell) == list(expected.cell)
    export("bcnn", folder, None, folder / "x.tex")
    text = (folder / "x.tex").read_text()
    assert text.count(r"\begin{tabular}") + text.count(r"\begin{longtable}") == len(BCNN.tables)


def test_a_printed_table_beside_what_was_measured(tmp_path):
    values = {"accuracy": Value(value=18.649, unit="%", n=40, low=10.04, high=30.06)}
    found = judged(tmp_path, values=values, synthetic=False, deviations=DEVIATIONS[1:])
    found = [replace(verdict, outcome=Outcome.REPRODUCED) if verdict.records else verdict for verdict in found]
    sheet = comparison_sheet(BCNN, T1, found)
    assert sheet.heads == ("Method", *("printed", "measured", "") * 3)
    assert sheet.groups == (("", 1), ("birds, w/o ft, %", 3), ("aircrafts, w/o ft, %", 3), ("cars, w/o ft, %", 3))
    sift = next(row for row in sheet.rows if row[0].text == "FV-SIFT")
    assert sift[1:4] == (
        SheetCell("18.8"), SheetCell("18.65 (one seed)", note="a"), SheetCell(outcome=Outcome.REPRODUCED),
    )  # fmt: skip
    assert sift[4:7] == (SheetCell("61.0"), SheetCell("–"), SheetCell(outcome=Outcome.NOT_RUN))
    assert sheet.notes == (("a", "backbones: a:b -> none"),)
    assert sheet.outcomes == (Outcome.REPRODUCED, Outcome.NOT_RUN)
    assert sheet.remarks == (INTERVAL, f"Records of fgbench: {'a' * 16}.")
    assert [len(row) for row in sheet.rows] == [10] * len(T1.rows)
    text = latex(sheet)
    line = r"FV-SIFT & 18.8 & 18.65 (one seed)\textsuperscript{a} & $\bullet$ & 61.0 & – & $\circ$ & 59.2"
    assert line in text
    assert r"\cmidrule(lr){2-4} \cmidrule(lr){5-7} \cmidrule(lr){8-10}" in text
    assert r"\textsuperscript{a} backbones: a:b -> none.\par" in text
    assert r"$\bullet$ reproduced, $\circ$ not run.\par" in text
    assert "| FV-SIFT | 18.8 | 18.65 (one seed)<sup>a</sup> | ● | 61.0 |" in markdown(sheet)


def test_a_table_names_its_rows_that_are_judged_in_another_paper(folder):
    export("where_to_focus/t2", folder, "markdown", folder / "x.md")
    text = (folder / "x.md").read_text(encoding="utf-8")
    assert "Cited from another paper, where the number is judged: FV-SIFT (bcnn/t1/fv\\_sift), FC-CNN" in text
    export("bcnn/t1", folder, "markdown", folder / "x.md")
    assert "Cited" not in (folder / "x.md").read_text(encoding="utf-8")


def test_synthetic_numbers_say_so_and_cannot_pass_for_reproduced(tmp_path):
    values = {"accuracy": Value(value=18.8, unit="%", n=40)}
    sheet = comparison_sheet(BCNN, T1, judged(tmp_path, values=values))
    sift = next(row for row in sheet.rows if row[0].text == "FV-SIFT")
    assert (sift[2].text, sift[3].outcome) == ("18.80 (one seed)", Outcome.NOT_COMPARABLE)
    assert dict(sheet.notes)[sift[2].note] == "synthetic data, not comparable with any printed number"


def test_a_wide_table_has_a_line_a_cell(tmp_path):
    paper = load_papers()["where_to_focus"]
    table = next(table for table in paper.tables if len(table.columns) > 4)
    sheet = comparison_sheet(paper, table, judged(tmp_path, paper))
    assert len(sheet.rows) == sum(value != "-" for row in table.rows for value in row.values)
    assert sheet.heads == ("Method", "Column", "printed", "measured", "")
    assert r"\begin{longtable}{llrrl}" in latex(sheet)


def test_latex_of_every_table_holds_together(folder, tmp_path):
    texts = []
    for name in ("verdicts", "values", "cells"):
        export(name, folder, "latex", tmp_path / "x.tex")
        text = (tmp_path / "x.tex").read_text()
        texts.append(text)
        for part in text.split("% fgbench")[1:]:
            check_latex(part)
    compile_latex("\n".join(texts), tmp_path)


def test_hostile_names_stay_text(tmp_path):
    row = T1.rows[0].model_copy(update={"label": HOSTILE})
    columns = tuple(column.model_copy(update={"label": HOSTILE}) for column in T1.columns)
    table = T1.model_copy(update={"rows": (row, *T1.rows[1:]), "columns": columns, "number": HOSTILE})
    paper = BCNN.model_copy(update={"tables": (table,), "title": HOSTILE})
    deviation = {**DEVIATIONS[0], "field": HOSTILE, "run": HOSTILE}
    sheet = comparison_sheet(paper, table, judged(tmp_path, paper, deviations=[deviation], run_id="a" * 16))
    text = latex(replace(sheet, name=HOSTILE))
    rows = check_latex(text)
    assert any(row.startswith("{}[x] a \\& b") for row in rows)
    assert text.count(r"\input") == text.count(r"\end{table}") - 1 == 0
    compile_latex(text, tmp_path)
    for line in markdown(sheet).splitlines():
        assert not re.search(r"(?<!\\)<(?!/?sup>)", line)
        assert not line.startswith("|") or len(re.findall(r"(?<!\\)\|", line)) == len(sheet.heads) + 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a_b & 5 %", r"a\_b \& 5 \%"),
        ("\\", r"\textbackslash{}"),
        ("x -- y --- z", "x -{}- y -{}-{}- z"),
        ("?` !` '' ``", "?{}` !{}` '{}' `{}`"),
        ("α = 0.1, Müller, 漢 > ●", "α = 0.1, Müller, 漢 > ●"),
        ("a\nb\tc\x00 \u202e", "a b c "),
    ],
)
def test_latex_text(text, expected):
    assert latex_text(text) == expected


def test_all_ascii_and_latin_signs_compile(tmp_path):
    signs = [chr(code) for code in range(32, 0x250)]
    compile_latex("\n\n".join(latex_text(sign) for sign in signs) + "\n\n" + latex_text("".join(signs)), tmp_path)
    assert set(SIGNS) == set(Outcome)


def test_markdown_text():
    assert markdown_text("a|b `c` <d>\n[e](f) *g* _h_") == r"a\|b \`c\` \<d> \[e\](f) \*g\* \_h\_"


def test_footnotes_go_on_after_z(tmp_path):
    verdicts = judged(tmp_path)
    base = next(verdict for verdict in verdicts if verdict.records)
    rows = tuple(row.model_copy(update={"id": f"{row.id}{k}"}) for k in range(3) for row in T1.rows)
    long = T1.model_copy(update={"rows": rows})
    fields = base.records[0].model_dump()
    many = []
    for number, cell in enumerate(BCNN.model_copy(update={"tables": (long,)}).cells()):
        own = Record.model_validate({**fields, "deviations": [{**DEVIATIONS[0], "run": number}]})
        many.append(replace(base, cell=cell, records=(own,)))
    letters = [letter for letter, _ in comparison_sheet(BCNN, long, many).notes]
    assert letters[:2] + letters[24:28] + letters[51:53] == ["a", "b", "y", "z", "aa", "ab", "az", "ba"]
    assert len(letters) == len(set(letters)) == len(many) + 1  # that of synthetic data is of them all


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("bcnn/t11",), "no table named 'bcnn/t11'; did you mean 'bcnn/t1"),
        (("values", "--format", "cvs"), "did you mean 'csv'"),
        (("values", "--out", "x.xls"), "no format for files .xls"),
        (("values", "--format", "parquet"), "--out values.parquet"),
        (("values", "--results", "nowhere"), "there is no folder nowhere"),
    ],
)
def test_mistakes_are_told(arguments, says):
    code, text = run("export", *arguments)
    assert code == 1
    assert says in text


def test_without_pyarrow_the_extra_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(FgbenchError, match=r"pip install 'fgbench\[parquet\]'"):
        export("values", folder, None, folder / "v.parquet")
    assert not (folder / "v.parquet").exists()


def test_numbers_are_rounded_by_one_rule(folder):
    export("values", folder, "markdown", folder / "v.md")
    text = (folder / "v.md").read_text()
    assert "| third | 33.33 | 7 | x | no |" in text
    assert "| next | 84.1 |" in text
    export("cells", folder, "markdown", folder / "c.md")
    assert "| accuracy | 84.1 | 0.77 | % |" in (folder / "c.md").read_text()
