import base64

import numpy as np
import pytest
from few_birds import CLASSES, IMAGES, TEST_IDS, few_birds
from made_records import Kept, of_right
from report_pages import HOSTILE, Parsed

from fgbench.report.html.mistakes import MAX_MISTAKES, confident_mistakes
from fgbench.report.html.render import render
from fgbench.report.photographs import Photographs


def run(labels, scores, names, ids=None, **fields):
    record, _ = of_right([True] * len(labels), classes=len(names), **fields)
    arrays = {"labels": np.array(labels), "scores": np.array(scores, np.float32), "class_names": np.array(names)}
    return record, {"ids": np.arange(len(labels)) if ids is None else np.array(ids), **arrays}


def birds_run(**fields):
    """Return a run that takes every test bird for one of the other class; the last with the highest score."""
    labels = [0, 0, 1, 1]
    scores = np.zeros((4, 2))
    scores[range(4), [1, 1, 0, 0]] = [1.0, 2.0, 3.0, 4.0]
    return run(labels, scores, CLASSES, TEST_IDS, **fields)


def written(folder, *runs, photographs=None):
    kept = Kept(*runs)
    render({}, {}, [], kept.records, folder, outputs=kept, photographs=photographs)
    return (folder / "method-bcnn.html").read_text(encoding="utf-8")


def cards(page):
    return page.split('<ol class="mistakes')[1].split("</ol>")[0].split("<li>")[1:]


def test_mistakes_are_the_wrong_images_with_the_highest_scores():
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 5, 300), rng.normal(size=(300, 5))
    record, arrays = run(labels, scores, list("abcde"), ids=1000 + np.arange(300))
    shown = confident_mistakes(record, arrays, list("abcde"), 10)
    of_scores = arrays["scores"]
    wrong = [row for row in range(300) if of_scores[row].argmax() != labels[row]]
    expected = sorted(wrong, key=lambda row: -of_scores[row].max())[:10]
    assert [mistake.image_id for mistake in shown] == [1000 + row for row in expected]
    for mistake, row in zip(shown, expected, strict=True):
        assert (mistake.true, mistake.predicted) == ("abcde"[labels[row]], "abcde"[of_scores[row].argmax()])
        assert (mistake.score, mistake.true_score) == (of_scores[row].max(), of_scores[row][labels[row]])


def test_equal_scores_are_in_the_order_of_the_images_and_a_run_without_mistakes_has_none():
    record, arrays = run([0, 0, 0], [[0, 1], [0, 1], [1, 0]], ["a", "b"])
    assert [mistake.image_id for mistake in confident_mistakes(record, arrays, ["a", "b"], 5)] == [0, 1]
    record, arrays = run([0, 1], [[1, 0], [0, 1]], ["a", "b"])
    assert confident_mistakes(record, arrays, ["a", "b"], 5) == ()


def test_a_score_that_the_record_does_not_keep_is_not_shown():
    # Two scores are kept; the others are one below the lower of them.
    record, arrays = run([2, 1], [[3, 2, 1], [3, 2, 1]], list("abc"), scores_kept=2)
    first, second = confident_mistakes(record, arrays, list("abc"), 5)
    assert (first.true_score, second.true_score) == (None, 2)


def test_each_photograph_is_beside_one_of_the_class_it_was_taken_for(tmp_path, monkeypatch):
    monkeypatch.setenv("FGBENCH_DATA", str(few_birds(tmp_path)))
    page = written(tmp_path / "pages", birds_run(), photographs=Photographs())
    first, *others = cards(page)
    assert len(others) == 3
    assert Parsed(first).text.startswith(
        "Laysan Albatross taken for Black footed Albatross Image 63. Score 4; true class 0."
    )
    images = [attributes for tag, attributes in Parsed(page).tags if tag == "img"]
    assert len(images) == 8
    assert all(image["src"].startswith("data:image/webp;base64,") and image["alt"] for image in images)
    expected = Photographs()
    record, _ = birds_run()
    url = page.split('<ol class="mistakes')[1].split('src="')[1:3]
    for text, content in zip(
        url, (expected.of_image(record, 63, CLASSES[1]), expected.of_class(record, CLASSES[0])), strict=True
    ):
        assert base64.b64decode(text.split(",")[1].split('"')[0]) == content


def test_a_page_has_at_most_twelve_pictures(tmp_path, monkeypatch):
    monkeypatch.setenv("FGBENCH_DATA", str(few_birds(tmp_path)))
    labels = [0, 0, 1, 1] * 10
    scores = np.eye(2)[1 - np.array(labels)]
    other = {"protocol": {"images": "other"}}
    runs = [run(labels, scores, CLASSES, TEST_IDS * 10), run(labels, scores, CLASSES, TEST_IDS * 10, **other)]
    assert written(tmp_path / "one", runs[0], photographs=Photographs()).count("<img") == 2 * MAX_MISTAKES == 12
    page = written(tmp_path / "two", *runs, photographs=Photographs())
    assert page.count('<ol class="mistakes') == 2
    assert page.count("<img") == 12
    assert len(page.encode()) < 300_000


@pytest.mark.parametrize(
    ("photographs", "why"),
    [(None, "Pictures were left out."), (Photographs(), "No pictures: cub is not on this machine.")],
)
def test_without_pictures_names_and_scores_stand_with_one_line_why(tmp_path, monkeypatch, photographs, why):
    monkeypatch.setenv("FGBENCH_DATA", str(tmp_path))
    page = written(tmp_path / "pages", birds_run(), photographs=photographs)
    assert page.count(why) == 1
    assert "<img" not in page
    assert Parsed(cards(page)[0]).text.startswith(
        "Laysan Albatross taken for Black footed Albatross Image 63. Score 4;"
    )
    assert "Pictures are cut" not in page


def test_images_that_cannot_be_read_leave_the_rest_of_the_page(tmp_path, monkeypatch):
    data = few_birds(tmp_path)
    monkeypatch.setenv("FGBENCH_DATA", str(data))
    images = data / "CUB_200_2011" / "images"
    (images / IMAGES[63][0]).write_bytes(b"damaged")
    page = written(tmp_path / "one", birds_run(), photographs=Photographs())
    assert page.count("<img") == 7
    assert "Image 63" in page
    for number in IMAGES:
        (images / IMAGES[number][0]).unlink(missing_ok=True)
    page = written(tmp_path / "none", birds_run(), photographs=Photographs())
    assert page.count("missing, damaged or other ones") == 1
    assert len(cards(page)) == 4


def test_hostile_names_stay_text(tmp_path, monkeypatch):
    monkeypatch.setenv("FGBENCH_DATA", str(tmp_path))
    record, arrays = run([0], [[0, 1]], [HOSTILE, "b"])
    assert "<script>alert" not in written(tmp_path / "pages", (record, arrays))
