"""Names of files and ids against the images of a data set."""

import numpy as np
import pytest

from fgbench.judge.outside.answers import Answers
from fgbench.judge.outside.faults import Faults
from fgbench.judge.outside.images import AskedImages
from fgbench.util.errors import FgbenchError

FILES = ("a/1.jpg", "b/1.jpg", "b/2.jpg", "c/b/2.jpg", "c/3.jpg", "c/4.jpg")
ASKED = AskedImages("six", "test images", FILES, np.array([4, 2, 0]), ids=np.arange(10, 16), ignored=np.array([5]))


def matched(key, values):
    """Return the places of names, and the faults."""
    faults = Faults("image")
    places = ASKED.places(Answers("x", "", {key: np.array(values)}), faults)
    return places.tolist(), faults.texts


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("c/3.jpg", 0), ("3.jpg", 0), ("./c/3.jpg", 0), ("/data/six/c/3.jpg", 0), (r"C:\six\c\3.jpg", 0),
        ("b/2.jpg", 1), ("/data/six/a/1.jpg", 2), ("c/4.jpg", -3),
    ],
)  # fmt: skip
def test_a_path_its_ends_and_longer_paths_name_an_image(name, place):
    assert matched("image", [name]) == ([place], [])


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("1.jpg", "1 name of several images of six: '1.jpg'"),
        ("2.jpg", "1 name of several images of six: '2.jpg'"),
        ("b/1.jpg", "1 image not among the test images: 'b/1.jpg'"),
        ("x/3.jpg", "1 image not in six: 'x/3.jpg'"),
        ("", "1 image not in six: ''"),
        ("3.JPG", "1 image not in six: '3.JPG'"),
    ],
)
def test_a_name_that_is_no_image_to_answer_is_a_fault(name, fault):
    places, faults = matched("image", [name])
    assert places[0] < 0
    assert faults == [fault]


def test_ids_are_numbers_or_text():
    assert matched("id", [14, 12]) == matched("id", ["14", "0012"]) == ([0, 1], [])
    assert matched("id", ["14.0", "99"])[1] == ["2 images not in six: '14.0', '99'"]
    with pytest.raises(FgbenchError, match="id holds no whole numbers"):
        matched("id", [14.0])


def test_the_order_is_that_of_the_asked_images():
    faults = Faults("image")
    answers = Answers("x", "", {"image": np.array(["a/1.jpg", "c/4.jpg", "c/3.jpg", "b/2.jpg"])})
    assert ASKED.order(answers, faults).tolist() == [2, 3, 0]
    assert faults.texts == []
