import pytest

from fgbench.report.html.data_origin import data_origin
from fgbench.report.html.pages import Page, address, navigation


def test_the_navigation_has_the_pages_of_a_group_together():
    pages = [Page(name, name, "x", data_origin([]), group) for name, group in
             (("a", ""), ("b", "Papers"), ("c", ""), ("d", "Papers"), ("e", "Methods"))]  # fmt: skip
    members = [(group, [page.name for page in same]) for group, same in navigation(pages)]
    assert members == [("", ["a"]), ("Papers", ["b", "d"]), ("", ["c"]), ("Methods", ["e"])]


def test_the_navigation_leaves_out_pages_that_are_not_listed_and_groups_without_a_page():
    origin = data_origin([])
    pages = [Page("a", "a", "x", origin), Page("b", "b", "x", origin, "Methods", listed=False),
             Page("c", "c", "x", origin, "Papers", listed=False), Page("d", "d", "x", origin, "Papers")]  # fmt: skip
    members = [(group, [page.name for page in same]) for group, same in navigation(pages)]
    assert members == [("", ["a"]), ("Papers", ["d"])]


@pytest.mark.parametrize("name", ["javascript:alert(1)", "../x", "a b", "//example.org/x", 'x"y'])
def test_the_address_of_a_page_is_a_file_in_the_same_folder(name):
    assert not set(address(name)) & set(': "/')
