import pytest

from fgbench.util.counted import counted


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((0, "run"), "0 runs"),
        ((1, "run"), "1 run"),
        ((2, "run"), "2 runs"),
        ((1200, "record"), "1,200 records"),
        ((1, "class", "classes"), "1 class"),
        ((3, "class", "classes"), "3 classes"),
    ],
)
def test_a_number_has_its_noun_in_the_right_form(arguments, text):
    assert counted(*arguments) == text
