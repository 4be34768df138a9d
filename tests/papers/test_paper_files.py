"""Error messages for mistakes in paper files, and the folder of papers."""

import re
from pathlib import Path

import pytest

from fgbench.papers.printed import Paper, load_papers, reproductions_root
from fgbench.util.errors import FgbenchError

MINIMAL = """
id = "demo"
version = "v1"
title = "A title"
authors = ["Somebody"]
venue = "Somewhere"
year = 2020
url = "https://example.org"

[sources]
page = "The page that was read."

[[tables]]
id = "t1"
number = "Table 1"
caption = "Accuracies."
source = "page"

[[tables.columns]]
id = "birds"
label = "Birds"
data = "cub"
metric = "accuracy"
unit = "%"
margin = 0.5

[[tables.columns]]
id = "rank"
label = "R=1"
data = "viper"
metric = "cmc"
unit = "%"
margin = 1.0
params = { rank = 1 }

[[tables.rows]]
id = "ours"
label = "Ours"
role = "method"
values = [84.1, 50.0]

[[tables.rows]]
id = "theirs"
label = "Theirs"
role = "context"
values = [80.0, "-"]

[[claims]]
id = "order"
text = "Ours is ahead."
source = "page"
data = "cub"
metric = "accuracy"
order = ["demo/ours", "demo/base"]
"""


def write(root: Path, text: str, folder: str = "demo") -> Path:
    path = root / folder / "paper.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    return root


def load(root: Path, old: str = "", new: str = "") -> Paper:
    """Return the minimal paper with one passage replaced."""
    assert old in MINIMAL
    return load_papers(write(root, MINIMAL.replace(old, new, 1)))["demo"]


def error_of(root: Path, old: str, new: str) -> str:
    """Return the error for a replaced passage, without the name of the file; it must be one line."""
    with pytest.raises(FgbenchError) as caught:
        load(root, old, new)
    text = str(caught.value)
    assert "\n" not in text
    path = f"{root / 'demo' / 'paper.toml'}"
    assert text.startswith(path)
    return text.removeprefix(path).removeprefix(": ")


def test_the_minimal_paper_loads(tmp_path):
    ours, rank, theirs = load(tmp_path).cells()
    assert (ours.id, ours.value, ours.version, ours.source) == ("t1/ours/birds", 84.1, "v1", "The page that was read.")
    assert (rank.id, rank.params, rank.margin) == ("t1/ours/rank", (("rank", 1),), 1.0)
    assert (theirs.id, theirs.role) == ("t1/theirs/birds", "context")


def test_a_row_overrides_version_margin_source_and_params(tmp_path):
    root = write(
        tmp_path,
        MINIMAL.replace("[sources]", '[sources]\nother = "Another page."').replace(
            "values = [84.1, 50.0]",
            'values = ["-", 50]\nversion = "v2"\nmargin = 2\nsource = "other"\nparams = { rank = 5 }\nnote = "Odd."',
        ),
    )
    cell = load_papers(root)["demo"].cells()[0]
    assert (cell.version, cell.margin, cell.source, cell.params) == ("v2", 2.0, "Another page.", (("rank", 5),))
    assert (cell.value, cell.note) == (50.0, "Odd.")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('venue = "', 'venu = "x"\nvenue = "', "unknown key 'venu'; did you mean 'venue'?"),
        ('caption = "', 'captoin = "', "unknown key 'tables.0.captoin'; did you mean 'caption'?"),
        ('caption = "Accuracies."', "", "'tables.0.caption': missing"),
        (
            'label = "R=1"',
            'label = "R=1"\nmargni = 1',
            "unknown key 'tables.0.columns.1.margni'; did you mean 'margin'?",
        ),
        (
            'label = "Ours"',
            'label = "Ours"\nrecipy = "a"',
            "unknown key 'tables.0.rows.0.recipy'; did you mean 'recipe'?",
        ),
        ('text = "', 'txet = "x"\ntext = "', "unknown key 'claims.0.txet'; did you mean 'text'?"),
    ],
)
def test_an_unknown_or_missing_key_is_named(tmp_path, old, new, message):
    assert error_of(tmp_path, old, new) == message


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("year = 2020", 'year = "2020"', "'year': Input should be a valid integer (got '2020')"),
        ("[84.1, 50.0]", '["84.1", 50.0]', "'tables.0.rows.0.values.0': neither a number nor '-' (got '84.1')"),
        ("[84.1, 50.0]", "[true, 50.0]", "'tables.0.rows.0.values.0': neither a number nor '-' (got True)"),
        ("[84.1, 50.0]", "84.1", "'tables.0.rows.0.values': Input should be a valid tuple (got 84.1)"),
        ("rank = 1 }", "rank = true }", "'tables.0.columns.1.params.rank': neither a number nor a string (got True)"),
        (
            "margin = 0.5",
            "margin = 0",
            "'tables.0.columns.0.margin': neither a number above 0 nor the name of a margin (got 0)",
        ),
        (
            "margin = 0.5",
            "margin = -0.5",
            "'tables.0.columns.0.margin': neither a number above 0 nor the name of a margin (got -0.5)",
        ),
        (
            "margin = 0.5",
            "margin = inf",
            "'tables.0.columns.0.margin': neither a number above 0 nor the name of a margin (got inf)",
        ),
        ('"accuracy"', '"acuracy"', "'tables.0.columns.0.metric': Input should be 'accuracy', 'class_map', "),
        ('role = "method"', 'role = "rival"', "'tables.0.rows.0.role': Input should be 'method', 'baseline' or "),
        ('"method"', '"method"\ntrain = ["box"]', "'tables.0.rows.0.train.0': Input should be 'boxes' or 'parts'"),
        ('["demo/ours", "demo/base"]', '["demo/ours"]', "'claims.0.order': Tuple should have at least 2 items"),
    ],
)
def test_a_wrong_type_is_an_error(tmp_path, old, new, message):
    assert error_of(tmp_path, old, new).startswith(message)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('source = "page"', 'source = "pages"', "no source 'pages' in [sources]; did you mean 'page'?"),
        ('"method"', '"method"\nsource = "pgae"', "no source 'pgae' in [sources]; did you mean 'page'?"),
        ('ahead."\nsource = "page"', 'ahead."\nsource = "pag"', "no source 'pag' in [sources]; did you mean 'page'?"),
        ('id = "theirs"', 'id = "ours"', "more than one row of t1 has the id 'ours'"),
        ('id = "rank"', 'id = "birds"', "more than one column of t1 has the id 'birds'"),
        (
            '["demo/ours", "demo/base"]',
            '["a/b", "a/b"]',
            "more than one recipe in the order of claim order has the id 'a/b'",
        ),
        ("[84.1, 50.0]", "[84.1]", "row 'ours' of t1 has 1 values for 2 columns"),
        ("[84.1, 50.0]", "[84.1, 50.0, 1]", "row 'ours' of t1 has 3 values for 2 columns"),
        ("[84.1, 50.0]", "[184.1, 50.0]", "t1/ours/birds: 184.1 % is not a possible value"),
        ("[84.1, 50.0]", "[-1, 50.0]", "t1/ours/birds: -1 % is not a possible value"),
        ("[84.1, 50.0]", "[nan, 50.0]", "t1/ours/birds: nan % is not a possible value"),
        ("rank = 1 }", "rnak = 1 }", "t1/ours/rank: cmc has no parameter 'rnak'; did you mean 'rank'?"),
        ("params = { rank = 1 }", "", "t1/ours/rank: cmc needs the parameter 'rank'"),
    ],
)
def test_a_contradiction_is_an_error(tmp_path, old, new, message):
    assert error_of(tmp_path, old, new).removeprefix("'tables.0': ") == message


def test_two_tables_or_claims_with_one_id_are_an_error(tmp_path):
    table = MINIMAL[MINIMAL.index("[[tables]]") : MINIMAL.index("[[claims]]")]
    claim = MINIMAL[MINIMAL.index("[[claims]]") :]
    assert error_of(tmp_path / "a", table, table + table) == "more than one table has the id 't1'"
    assert error_of(tmp_path / "b", claim, claim + claim) == "more than one claim has the id 'order'"


def test_a_value_above_100_needs_a_unit_other_than_percent(tmp_path):
    fast = MINIMAL.replace('"accuracy"\nunit = "%"', '"fps"\nunit = "frames/s"', 1).replace(
        "[84.1, 50.0]", "[184.1, 50.0]"
    )
    assert load_papers(write(tmp_path, fast))["demo"].cells()[0].value == 184.1


def test_a_syntax_error_names_file_and_line(tmp_path):
    assert re.search(r"line \d+", error_of(tmp_path, 'version = "v1"', "version = v1"))


def test_bytes_that_are_not_utf8_are_an_error(tmp_path):
    path = write(tmp_path, MINIMAL) / "demo" / "paper.toml"
    path.write_bytes(b'id = "\xff"')
    with pytest.raises(FgbenchError, match=r"paper\.toml is not TOML: byte 6 is no UTF-8"):
        load_papers(tmp_path)


def test_the_id_must_be_the_name_of_the_folder(tmp_path):
    write(tmp_path, MINIMAL, folder="other")
    with pytest.raises(FgbenchError, match=r"paper\.toml: the id 'demo' differs from the name of the folder, 'other'$"):
        load_papers(tmp_path)


# The folder of papers.


def test_the_environment_names_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FGBENCH_REPRODUCTIONS", str(write(tmp_path, MINIMAL)))
    assert reproductions_root() == tmp_path
    assert list(load_papers()) == ["demo"]


def test_a_folder_without_papers_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("FGBENCH_REPRODUCTIONS", str(tmp_path))
    with pytest.raises(FgbenchError, match=re.escape(f"no papers in {tmp_path}")) as caught:
        reproductions_root()
    assert "FGBENCH_REPRODUCTIONS" in caught.value.hint


def test_an_installed_package_has_its_own_papers(tmp_path, monkeypatch):
    monkeypatch.delenv("FGBENCH_REPRODUCTIONS", raising=False)
    package = tmp_path / "fgbench"
    monkeypatch.setattr("fgbench.papers.printed.__file__", str(package / "papers" / "printed.py"))
    with pytest.raises(FgbenchError, match="no papers in"):
        reproductions_root()
    write(package / "_reproductions", MINIMAL)
    assert reproductions_root() == package / "_reproductions"
    write(tmp_path / "reproductions", MINIMAL)
    assert reproductions_root() == tmp_path / "reproductions"
