import hashlib
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from fgbench.datasets import find, market1501
from fgbench.datasets.check import check
from fgbench.datasets.synthetic import pedestrians
from fgbench.datasets.synthetic.pedestrians import SyntheticPedestrians, generate, settings_hash
from fgbench.datasets.synthetic.person_drawing import draw_person
from fgbench.datasets.synthetic.persons import person_of
from fgbench.datasets.synthetic.stance import Stance
from fgbench.datasets.synthetic.streets import camera_of
from fgbench.util.errors import ArgumentError, FgbenchError

TINY = SyntheticPedestrians(
    identities_train=2, identities_test=3, cameras=2, images_per_camera=2, distractors=3, junk=4
)
MEDIUM = SyntheticPedestrians(
    identities_train=2, identities_test=30, cameras=3, images_per_camera=3, distractors=20, junk=10
)


def digests(root):
    return {p.relative_to(root): hashlib.sha256(p.read_bytes()).hexdigest() for p in root.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def medium(tmp_path_factory):
    return market1501.load(generate(tmp_path_factory.mktemp("pedestrians") / "medium", MEDIUM))


def pixels(index, rows, size=None):
    images = []
    for row in rows:
        with Image.open(index.root / index.files[row]) as image:
            images.append(np.asarray(image.resize(size) if size else image, dtype=float))
    return np.stack(images)


def rank_1(index, features):
    """Rank-1 accuracy of features by Euclidean distance, and the expected accuracy of a random ranking."""
    split = index.split()
    query, gallery = features[split.query], features[split.gallery]
    distance = ((query[:, None] - gallery[None]) ** 2).sum(-1)
    same = index.identities[split.query][:, None] == index.identities[split.gallery][None]
    valid = ~(same & (index.cameras[split.query][:, None] == index.cameras[split.gallery][None]))
    best = np.where(valid, distance, np.inf).argmin(1)
    chance = ((same & valid).sum(1) / valid.sum(1)).mean()
    return same[np.arange(len(best)), best].mean(), chance


def test_files_depend_on_the_settings_but_not_on_the_number_of_workers(tmp_path):
    one = digests(generate(tmp_path / "one", TINY, workers=1))
    two = digests(generate(tmp_path / "two", TINY, workers=2))
    assert one == two
    images = [digest for name, digest in one.items() if name.suffix == ".jpg"]
    assert len(set(images)) == len(images) == 2 * 2 * 5 + 3 + 4
    other = digests(generate(tmp_path / "other", replace(TINY, seed=1), workers=1))
    assert not set(images) & set(other.values())


def test_the_layout_is_like_market1501(tmp_path):
    index = market1501.load(generate(tmp_path / "x", TINY, workers=1))
    split = index.split()
    assert index.counts == {
        "images": 27, "train": 8, "query": 6, "gallery": 9, "junk": 4, "train_identities": 2, "test_identities": 3,
        "cameras": 2, "splits": 1,
    }  # fmt: skip
    assert set(index.identities[split.train].tolist()) == {1, 2}
    assert set(index.identities[split.query].tolist()) == {3, 4, 5}
    assert (index.identities[split.gallery] == 0).sum() == 3
    assert {path.name for path in (tmp_path / "x").iterdir()} == {
        "bounding_box_train",
        "bounding_box_test",
        "query",
        "README",
    }
    health = check(index)
    assert health.problems == health.notes == []
    for file in index.files:
        with Image.open(index.root / file) as image:
            assert (image.size, image.mode, image.format) == ((64, 128), "RGB", "JPEG")


def test_each_person_has_one_query_per_camera_and_some_miss_a_camera(medium):
    split = medium.split()
    pairs = list(zip(medium.identities[split.query].tolist(), medium.cameras[split.query].tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    cameras = [
        sum(1 for person, _ in pairs if person == identity) for identity in set(medium.identities[split.query].tolist())
    ]
    assert set(cameras) == {2, 3}
    assert cameras.count(2) < 15
    assert len(medium.unmatched(split)) == 0


def test_colours_match_persons_above_chance_but_not_perfectly(medium):
    rows = np.arange(len(medium))
    binned = pixels(medium, rows).astype(int) // 64
    codes = (binned[..., 0] * 16 + binned[..., 1] * 4 + binned[..., 2]).reshape(len(rows), -1)
    histograms = np.sqrt(np.stack([np.bincount(code, minlength=64) / len(code) for code in codes]))
    accuracy, chance = rank_1(medium, histograms)
    assert chance < 0.05
    assert accuracy > 3 * chance
    assert accuracy < 0.9
    accuracy, chance = rank_1(medium, pixels(medium, rows, (8, 16)).reshape(len(rows), -1))
    assert accuracy > 2 * chance
    assert accuracy < 0.9


def test_background_pixels_do_not_predict_the_person(medium):
    """Within a camera, images with the most similar borders show the same person at chance level."""
    right, expected, images = 0.0, 0.0, 0
    for number in (1, 2, 3):
        rows = np.flatnonzero((medium.cameras == number) & (medium.identities > 0))
        border = pixels(medium, rows)[:, :, [0, 1, 2, 61, 62, 63]].reshape(len(rows), 8, 16, 2, 3, 3).mean((2, 4))
        border = border.reshape(len(rows), -1)
        distance = ((border[:, None] - border[None]) ** 2).sum(-1) + np.diag(np.full(len(rows), np.inf))
        same = medium.identities[rows][:, None] == medium.identities[rows][None]
        right += same[np.arange(len(rows)), distance.argmin(1)].sum()
        expected += ((same.sum(1) - 1) / (len(rows) - 1)).sum()
        images += len(rows)
    assert right < expected + 4 * np.sqrt(expected)
    assert images > 200


def test_junk_and_distractors_show_a_smaller_part_of_a_person():
    rng = np.random.default_rng(0)
    camera = camera_of(0, 1)

    def visible_fraction(identity):
        stance = pedestrians._stance(camera, 0.0, identity, (192, 384), rng)
        _, mask = draw_person(person_of(0, 1), stance, (192, 384))
        whole = replace(stance, x=500.0, y=500.0)
        _, complete_mask = draw_person(person_of(0, 1), whole, (1000, 1400))
        return np.count_nonzero(np.asarray(mask)) / np.count_nonzero(np.asarray(complete_mask))

    known, junk, distractor = (np.mean([visible_fraction(identity) for _ in range(20)]) for identity in (1, -1, 0))
    assert known > 0.85
    assert 0.2 < junk < 0.75
    assert distractor < 0.25


def stance(turn):
    return Stance(turn=turn, phase=0.5, stride=0.4, x=96, y=20, height=340, light=0.0)


def colours(person, turn):
    layer, mask = draw_person(person, stance(turn), (192, 384))
    return np.asarray(layer)[np.asarray(mask) > 0].astype(int)


def count_colour(pixels, colour):
    """Number of pixels with a colour, in any brightness."""
    ratio = pixels @ np.array(colour) / (np.linalg.norm(pixels, axis=1) * np.linalg.norm(colour) + 1e-9)
    return int((ratio > 0.9995).sum())


def test_prints_and_bags_are_visible_on_their_side_only():
    person = replace(
        person_of(0, 1),
        bag="none",
        top_pattern="print",
        top=(40, 60, 200),
        top_second=(20, 220, 30),
        hat=None,
        skin=(230, 190, 160),
    )
    assert count_colour(colours(person, 0.0), person.top_second) > 200
    assert count_colour(colours(person, np.pi), person.top_second) == 0
    back = replace(person, top_pattern="back print")
    assert count_colour(colours(back, 0.0), person.top_second) == 0
    assert count_colour(colours(back, np.pi), person.top_second) > 200
    packed = replace(person, top_pattern="plain", bag="backpack", bag_colour=(240, 120, 0))
    assert count_colour(colours(packed, np.pi), packed.bag_colour) > 3 * count_colour(
        colours(packed, 0.0), packed.bag_colour
    )
    faces = [
        count_colour(colours(replace(person, sleeves="long", bottom_kind="trousers"), turn), person.skin)
        for turn in (0.0, np.pi)
    ]
    assert faces[0] > 2 * faces[1]


def test_clothes_have_the_colours_of_the_person():
    person = replace(
        person_of(0, 1), bag="none", hat=None, top_pattern="plain", top=(200, 30, 40), bottom=(30, 200, 60),
        shoes=(60, 60, 240), bottom_kind="trousers", sleeves="long", top_hem=0.5, hair=(90, 30, 120),
        hair_style="short",
    )  # fmt: skip
    layer, mask = draw_person(person, stance(0.3), (192, 384))
    drawn, inside = np.asarray(layer).astype(int), np.asarray(mask) > 0
    rows = {
        name: np.median(np.nonzero(mask_of_colour(drawn, inside, getattr(person, name)))[0])
        for name in ("hair", "top", "bottom", "shoes")
    }
    assert rows["hair"] < rows["top"] < rows["bottom"] < rows["shoes"]
    bare = replace(person, bottom_kind="shorts", sleeves="none")
    assert count_colour(colours(bare, 0.3), person.skin) > 3 * count_colour(colours(person, 0.3), person.skin)


def mask_of_colour(drawn, inside, colour):
    ratio = drawn @ np.array(colour) / (np.linalg.norm(drawn, axis=-1) * np.linalg.norm(colour) + 1e-9)
    return (ratio > 0.9995) & inside


def test_persons_and_cameras_are_reproducible_and_distinct():
    assert person_of(0, 7) == person_of(0, 7)
    assert len({person_of(0, n) for n in range(100)}) == 100
    assert person_of(1, 7) != person_of(0, 7)
    views = [camera_of(0, n) for n in range(1, 7)]
    assert len({view.cast for view in views}) == len({view.turn for view in views}) == 6
    assert camera_of(0, 3) == views[2]


def test_an_existing_folder_is_an_error_and_a_failure_leaves_no_folder(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    with pytest.raises(FgbenchError, match="already exists"):
        generate(tmp_path / "here", TINY, workers=1)

    def fail(*arguments):
        raise RuntimeError("stop")

    monkeypatch.setattr(pedestrians, "draw_person", fail)
    with pytest.raises(RuntimeError):
        generate(tmp_path / "new", TINY, workers=1)
    assert [p.name for p in tmp_path.iterdir()] == ["here"]


@pytest.mark.parametrize(
    "change",
    [{"identities_test": 1}, {"cameras": 1}, {"cameras": 7}, {"images_per_camera": 1}, {"junk": -1},
     {"distractors": -1}, {"identities_train": 9998}],
)  # fmt: skip
def test_settings_out_of_range_are_an_error(tmp_path, change):
    with pytest.raises(ArgumentError, match="SyntheticPedestrians"):
        generate(tmp_path / "x", replace(TINY, **change), workers=1)
    assert not list(tmp_path.iterdir())


def test_the_registered_folder_contains_the_hash_of_the_settings():
    dataset = find("synthetic_pedestrians")
    assert dataset.synthetic
    assert dataset.folder.endswith(settings_hash(SyntheticPedestrians()))
    assert settings_hash(SyntheticPedestrians()) != settings_hash(SyntheticPedestrians(seed=1))
    persons = SyntheticPedestrians().identities_train
    assert 1500 < len(pedestrians._jobs(SyntheticPedestrians())) < 2500
    assert persons == 60
