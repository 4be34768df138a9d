import pytest

from fgbench.report.html.data_origin import data_origin
from fgbench.report.html.pages import Page, address, navigation


def test_the_navigation_has_the_pages_of_a_group_together():
    pages = [Page(name, name, "x", data_origin([]), group) for name, group in
             (("a", ""), ("b", "Papers"), ("c", ""), ("d", "Papers"), ("e", "Methods"))]  # fmt: skip
    members = [(group, [page.name for page in same]) for group, same in navigation(pages)]
    assert members == [("", ["a"]), ("Papers", ["b", "d"]), ("", ["c"]), ("Methods", ["e"])]


@pytest.mark.parametrize("name", ["javascript:alert(1)", "../x", "a b", "//example.org/x", 'x"y'])
def test_the_address_of_a_page_is_a_file_in_the_same_folder(name):
    assert not set(address(name)) & set(': "/')
