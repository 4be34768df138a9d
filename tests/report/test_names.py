from made_records import RECIPES

from fgbench.papers.printed import load_papers
from fgbench.report.names import METHODS, PAPERS, method_name, paper_name


def test_every_paper_and_method_has_a_name_of_its_own():
    assert set(PAPERS) == set(load_papers())
    assert set(METHODS) == {recipe.method for recipe in RECIPES.values()}
    for names in (PAPERS, METHODS):
        assert len(set(names.values())) == len(names)
        assert not any("_" in name for name in names.values())
    assert (paper_name("where_to_focus"), method_name("fv_sift")) == ("Where to Focus", "FV-SIFT")


def test_papers_and_methods_of_other_packages_have_their_id_with_spaces():
    assert (paper_name("my_paper"), method_name("my_method")) == ("my paper", "my method")
    assert method_name("") == ""
