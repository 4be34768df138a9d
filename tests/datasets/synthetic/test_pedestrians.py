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
from fgbench.util.errors import FgbenchError

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
    found = []
    for row in rows:
        with Image.open(index.root / index.files[row]) as image:
            found.append(np.asarray(image.resize(size) if size else image, dtype=float))
    return np.stack(found)


def rank_1(index, features):
    """Share of queries whose nearest gallery image of another camera or person is right, and what luck would give."""
    split = index.split()
    query, gallery = features[split.query], features[split.gallery]
    distance = ((query[:, None] - gallery[None]) ** 2).sum(-1)
    same = index.identities[split.query][:, None] == index.identities[split.gallery][None]
    valid = ~(same & (index.cameras[split.query][:, None] == index.cameras[split.gallery][None]))
    best = np.where(valid, distance, np.inf).argmin(1)
    chance = ((same & valid).sum(1) / valid.sum(1)).mean()
    return same[np.arange(len(best)), best].mean(), chance


def test_same_settings_same_bytes_whatever_the_workers(tmp_path):
    one = digests(generate(tmp_path / "one", TINY, workers=1))
    two = digests(generate(tmp_path / "two", TINY, workers=2))
    assert one == two
    images = [digest for name, digest in one.items() if name.suffix == ".jpg"]
    assert len(set(images)) == len(images) == 2 * 2 * 5 + 3 + 4
    other = digests(generate(tmp_path / "other", replace(TINY, seed=1), workers=1))
    assert not set(images) & set(other.values())


def test_the_layout_is_that_of_market1501(tmp_path):
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


def test_everyone_is_searched_once_a_camera_and_some_miss_one(medium):
    split = medium.split()
    pairs = list(zip(medium.identities[split.query].tolist(), medium.cameras[split.query].tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    cameras = [
        sum(1 for who, _ in pairs if who == identity) for identity in set(medium.identities[split.query].tolist())
    ]
    assert set(cameras) == {2, 3}
    assert cameras.count(2) < 15
    assert len(medium.unmatched(split)) == 0


def test_colours_match_persons_across_cameras_above_chance_and_far_from_always(medium):
    rows = np.arange(len(medium))
    binned = pixels(medium, rows).astype(int) // 64
    codes = (binned[..., 0] * 16 + binned[..., 1] * 4 + binned[..., 2]).reshape(len(rows), -1)
    histograms = np.sqrt(np.stack([np.bincount(code, minlength=64) / len(code) for code in codes]))
    found, chance = rank_1(medium, histograms)
    assert chance < 0.05
    assert found > 3 * chance
    assert found < 0.9
    found, chance = rank_1(medium, pixels(medium, rows, (8, 16)).reshape(len(rows), -1))
    assert found > 2 * chance
    assert found < 0.9


def test_the_place_does_not_tell_the_person(medium):
    """Of the images of a camera, those with the most similar borders show the same person by chance alone."""
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


def test_junk_and_distractors_show_less_of_a_person():
    rng = np.random.default_rng(0)
    view = camera_of(0, 1)

    def shown(identity):
        stance = pedestrians._stance(view, 0.0, identity, (192, 384), rng)
        _, mask = draw_person(person_of(0, 1), stance, (192, 384))
        whole = replace(stance, x=500.0, y=500.0)
        _, all_ = draw_person(person_of(0, 1), whole, (1000, 1400))
        return np.count_nonzero(np.asarray(mask)) / np.count_nonzero(np.asarray(all_))

    good, junk, nobody = (np.mean([shown(identity) for _ in range(20)]) for identity in (1, -1, 0))
    assert good > 0.85
    assert 0.2 < junk < 0.75
    assert nobody < 0.25


def stance(turn):
    return Stance(turn=turn, phase=0.5, stride=0.4, x=96, y=20, height=340, light=0.0)


def colours(who, turn):
    layer, mask = draw_person(who, stance(turn), (192, 384))
    return np.asarray(layer)[np.asarray(mask) > 0].astype(int)


def has(found, colour):
    """How many pixels have a colour in some light."""
    ratio = found @ np.array(colour) / (np.linalg.norm(found, axis=1) * np.linalg.norm(colour) + 1e-9)
    return int((ratio > 0.9995).sum())


def test_what_is_on_the_back_shows_from_behind_and_what_is_in_front_from_the_front():
    who = replace(
        person_of(0, 1),
        bag="none",
        top_pattern="print",
        top=(40, 60, 200),
        top_second=(20, 220, 30),
        hat=None,
        skin=(230, 190, 160),
    )
    assert has(colours(who, 0.0), who.top_second) > 200
    assert has(colours(who, np.pi), who.top_second) == 0
    back = replace(who, top_pattern="back print")
    assert has(colours(back, 0.0), who.top_second) == 0
    assert has(colours(back, np.pi), who.top_second) > 200
    packed = replace(who, top_pattern="plain", bag="backpack", bag_colour=(240, 120, 0))
    assert has(colours(packed, np.pi), packed.bag_colour) > 3 * has(colours(packed, 0.0), packed.bag_colour)
    faces = [
        has(colours(replace(who, sleeves="long", bottom_kind="trousers"), turn), who.skin) for turn in (0.0, np.pi)
    ]
    assert faces[0] > 2 * faces[1]


def test_clothes_are_those_of_the_person():
    who = replace(
        person_of(0, 1), bag="none", hat=None, top_pattern="plain", top=(200, 30, 40), bottom=(30, 200, 60),
        shoes=(60, 60, 240), bottom_kind="trousers", sleeves="long", top_hem=0.5, hair=(90, 30, 120),
        hair_style="short",
    )  # fmt: skip
    layer, mask = draw_person(who, stance(0.3), (192, 384))
    drawn, inside = np.asarray(layer).astype(int), np.asarray(mask) > 0
    rows = {
        name: np.median(np.nonzero(has_map(drawn, inside, getattr(who, name)))[0])
        for name in ("hair", "top", "bottom", "shoes")
    }
    assert rows["hair"] < rows["top"] < rows["bottom"] < rows["shoes"]
    bare = replace(who, bottom_kind="shorts", sleeves="none")
    assert has(colours(bare, 0.3), who.skin) > 3 * has(colours(who, 0.3), who.skin)


def has_map(drawn, inside, colour):
    ratio = drawn @ np.array(colour) / (np.linalg.norm(drawn, axis=-1) * np.linalg.norm(colour) + 1e-9)
    return (ratio > 0.9995) & inside


def test_persons_and_cameras_differ_and_are_the_same_for_a_seed():
    assert person_of(0, 7) == person_of(0, 7)
    assert len({person_of(0, n) for n in range(100)}) == 100
    assert person_of(1, 7) != person_of(0, 7)
    views = [camera_of(0, n) for n in range(1, 7)]
    assert len({view.cast for view in views}) == len({view.turn for view in views}) == 6
    assert camera_of(0, 3) == views[2]


def test_existing_folder_is_refused_and_a_failure_leaves_nothing(tmp_path, monkeypatch):
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
def test_nonsense_settings_are_refused(tmp_path, change):
    with pytest.raises(FgbenchError, match="SyntheticPedestrians"):
        generate(tmp_path / "x", replace(TINY, **change), workers=1)
    assert not list(tmp_path.iterdir())


def test_registered_by_its_settings():
    dataset = find("synthetic_pedestrians")
    assert dataset.synthetic
    assert dataset.folder.endswith(settings_hash(SyntheticPedestrians()))
    assert settings_hash(SyntheticPedestrians()) != settings_hash(SyntheticPedestrians(seed=1))
    persons = SyntheticPedestrians().identities_train
    assert 1500 < len(pedestrians._jobs(SyntheticPedestrians())) < 2500
    assert persons == 60
