"""Names that fgbench does not have: the hint is a command that works."""

import shlex

import pytest
from command_line import CALL

from fgbench import cli
from fgbench.util.errors import FgbenchError


def hint_of(*words):
    result = CALL.invoke(cli.app, words)
    assert isinstance(result.exception, FgbenchError), result.output
    return result.exception.hint


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("birds", "cub"), ("CUB-200-2011", "cub"), ("CUB_200_2011", "cub"), ("cup", "cub"), ("aircrafts", "aircraft"),
        ("fgvc-aircraft", "aircraft"), ("cars196", "cars"), ("Stanford Cars", "cars"), ("market", "market1501"),
        ("Market-1501", "market1501"), ("cuhk-03", "cuhk03"), ("VIPeR", "viper"),
    ],
)  # fmt: skip
def test_a_data_set_is_suggested_by_every_verb_that_takes_one(name, own):
    assert hint_of("reproduce", name) == f"fgbench reproduce {own}"
    assert hint_of("data", "get", name) == f"fgbench data get {own}"
    assert hint_of("data", "check", name) == f"fgbench data check {own}"


def test_a_name_that_is_like_none_leads_to_the_list():
    assert hint_of("data", "get", "xyzzy") == "fgbench data list"
    assert hint_of("reproduce", "xyzzy") == "fgbench list recipes"
    assert hint_of("reproduce", "persons") == "fgbench reproduce reid"
    assert hint_of("weights", "get", "xyzzy") == "fgbench weights list"


@pytest.mark.parametrize("name", ["cub", "cars", "market1501", "cuhk03", "cuhk03_detected", "viper", "aircraft"])
def test_a_missing_data_set_names_its_command_and_one_without_address_its_page_and_files(name):
    hint = hint_of("data", "check", name)
    assert hint == f"fgbench data get {name}"
    if name in {"cars", "market1501", "cuhk03", "cuhk03_detected"}:
        with pytest.raises(FgbenchError, match="web page: https://") as raised:
            CALL.invoke(cli.app, shlex.split(hint)[1:], catch_exceptions=False)
        assert "put these files into " in raised.value.hint
        assert raised.value.hint.endswith(f"then: fgbench data check {name}")


@pytest.mark.parametrize(
    ("name", "best"),
    [("vgg16", "vgg16.matconvnet"), ("VGG19", "vgg19.matconvnet"), ("vggm", "vggm.matconvnet"),
     ("squeezenet1_1", "squeezenet1_1.torchvision")],
)  # fmt: skip
def test_a_network_leads_to_its_weight_file_with_an_address(name, best):
    assert hint_of("weights", "get", name) == f"fgbench weights get {best}"
