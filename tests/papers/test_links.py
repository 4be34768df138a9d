"""Citations between papers, and margins that papers share."""

import pytest
from test_paper_files import MINIMAL, write

from fgbench.papers.printed import load_papers
from fgbench.util.errors import FgbenchError

FIRST = MINIMAL.replace('id = "demo"', 'id = "first"', 1)
CITING = MINIMAL.replace('label = "Theirs"', 'label = "Theirs"\ncites = "first/t1/ours"').replace(
    'values = [80.0, "-"]', 'values = [84.1, "-"]'
)
MARGIN = """
[margins.accuracy]
data = "cub"
metric = "accuracy"
share = 0.8
reference = 84.0
derived = "In 2026."
""" + "".join(
    f"""
[[margins.accuracy.reimplementations]]
name = "{k}"
printed = 84.0
measured = {84 + k / 10}
source = "its README"
"""
    for k in range(10)
)


def load(root, citing=CITING, first=FIRST):
    """Return the papers `first` and `demo`."""
    return load_papers(write(write(root, citing), first, "first"))


def error_of(root, *replaced, first=FIRST):
    """Return the error of the citing paper with replaced passages, without the name of its file."""
    citing = CITING
    for old, new in replaced:
        assert old in citing
        citing = citing.replace(old, new, 1)
    with pytest.raises(FgbenchError) as caught:
        load(root, citing, first)
    path = f"{root / 'demo' / 'paper.toml'}: "
    assert str(caught.value).startswith(path)
    return str(caught.value).removeprefix(path)


def test_a_citing_cell_names_its_source_and_takes_what_it_is_judged_by(tmp_path):
    first = FIRST.replace('label = "Ours"', 'label = "Ours"\nrecipe = "first/it"\ntrain = ["parts"]\nmargin = 2')
    papers = load(tmp_path, first=first)
    source, cell = papers["first"].cells()[0], papers["demo"].cells()[2]
    assert (cell.paper, cell.id, cell.cites) == ("demo", "t1/theirs/birds", "first/t1/ours/birds")
    assert (cell.recipe, cell.train, cell.margin) == (source.recipe, source.train, 2) == ("first/it", ("parts",), 2)
    assert (cell.row, cell.role) == ("Theirs", "context")
    assert not source.cites


def test_a_cell_is_found_by_data_metric_and_parameters_not_by_its_column(tmp_path):
    two = CITING.replace('"-"]\n', "50.0]\n").replace('id = "birds"', 'id = "b"').replace('id = "rank"', 'id = "r"')
    assert [cell.cites for cell in load(tmp_path, two)["demo"].cells()[2:]] == [
        "first/t1/ours/birds",
        "first/t1/ours/rank",
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("first/t1", "frist/t1", "cites 'frist/t1/ours', but 'frist' is no other paper; did you mean 'first'?"),
        ("first/t1/ours", "demo/t1/ours", "cites 'demo/t1/ours', but 'demo' is no other paper; known: first"),
        ("t1/ours", "t1/our", "cites 'first/t1/our', which does not exist; did you mean 'first/t1/ours'?"),
        ('84.1, "-"', '84.2, "-"', "cites 'first/t1/ours', which prints 84.1 % on cub, not 84.2 %"),
        ('unit = "%"', 'unit = "‰"', "cites 'first/t1/ours', which prints 84.1 % on cub, not 84.1 ‰"),
        ('"cub"', '"cars"', "cites 'first/t1/ours', which prints no number of accuracy on cars"),
        ('84.1, "-"', '"-", 50', "cites 'first/t1/ours', which prints no number of cmc on viper, rank = 5"),
    ],
)  # fmt: skip
def test_a_citation_that_does_not_fit_is_an_error(tmp_path, old, new, message):
    more = (("rank = 1", "rank = 5"),) if "rank = 5" in message else ()
    assert error_of(tmp_path, (old, new), *more).partition("\n")[0] == f"t1/theirs: {message}"


def with_another_number(value):
    """Return the first paper with a second column for the data set and metric of its first column."""
    column = FIRST.split("[[tables.columns]]")[1]
    first = FIRST.replace("[[tables.rows]]", f"[[tables.columns]]{column.replace('birds', 'again')}[[tables.rows]]", 1)
    return first.replace("[84.1, 50.0]", f"[84.1, 50.0, {value}]").replace('[80.0, "-"]', '[80.0, "-", "-"]')


def test_of_two_numbers_of_the_same_kind_the_equal_one_is_cited(tmp_path):
    cell = load(tmp_path, first=with_another_number(80.1))["demo"].cells()[2]
    assert cell.cites == "first/t1/ours/birds"
    assert error_of(tmp_path / "other", ('84.1, "-"', '84.2, "-"'), first=with_another_number(80.1)).startswith(
        "t1/theirs: cites 'first/t1/ours', which prints 84.1 % and 80.1 % on cub, not 84.2 %"
    )


def test_two_equal_numbers_of_the_same_kind_are_an_error(tmp_path):
    message = error_of(tmp_path, first=with_another_number(84.1))
    assert "which prints 2 equal numbers of accuracy on cub" in message


def test_a_chain_and_a_circle_of_citations_are_errors(tmp_path):
    cites = 'label = "Ours"\ncites = "demo/t1/{}"'
    chain = FIRST.replace('label = "Ours"', cites.format("ours"))
    message = "t1/theirs: cites 'first/t1/ours', which cites 'demo/t1/ours'\n  cite the first paper that printed it"
    assert error_of(tmp_path / "chain", first=chain) == message
    circle = FIRST.replace('label = "Ours"', cites.format("theirs")).replace("[84.1, 50.0]", '[84.1, "-"]')
    assert error_of(tmp_path / "circle", first=circle) == message.replace("demo/t1/ours", "demo/t1/theirs")


@pytest.mark.parametrize("field", ['recipe = "a/b"', 'train = ["parts"]', 'test = ["boxes"]', "margin = 1"])
def test_a_citing_row_has_nothing_of_its_own_to_be_judged_by(tmp_path, field):
    text = error_of(tmp_path, ('label = "Theirs"', f'label = "Theirs"\n{field}'))
    assert text.endswith("row 'theirs' of t1 cites another row, so it has no recipe, annotations or margin")


def test_the_margin_of_a_column_may_be_derived_in_the_same_or_in_another_paper(tmp_path):
    named = FIRST.replace("margin = 0.5", 'margin = "accuracy"') + MARGIN
    other = MINIMAL.replace("margin = 0.5", 'margin = "first/accuracy"')
    papers = load(tmp_path, other, named)
    own, _, theirs = papers["first"].cells()
    assert (own.margin, own.margin_from) == (papers["first"].margins["accuracy"].at(84.1), "first/accuracy")
    assert theirs.margin == papers["first"].margins["accuracy"].at(80.0) > own.margin
    assert [(c.margin, c.margin_from) for c in papers["demo"].cells()] == [
        (own.margin, "first/accuracy"), (1.0, ""), (theirs.margin, "first/accuracy"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("margin = 0.5", 'margin = "acuracy"', "birds: no margin 'acuracy'; did you mean 'accuracy'?"),
        ("margin = 1.0", 'margin = "accuracy"', "rank: the margin 'accuracy' is for accuracy in %, not for cmc in %"),
        ("values = [84.1", 'margin = "accuracy"\nvalues = [0', "birds: no margin can be derived for 0 %"),
    ],
)
def test_a_margin_that_does_not_fit_is_an_error(tmp_path, old, new, message):
    with pytest.raises(FgbenchError) as caught:
        load_papers(write(tmp_path, MINIMAL.replace(old, new) + MARGIN))
    assert str(caught.value).partition("\n")[0].endswith(f"paper.toml: t1/ours/{message}")
