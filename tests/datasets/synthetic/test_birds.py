import hashlib
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression

from fgbench.datasets import cub
from fgbench.datasets.synthetic import birds as birds_module
from fgbench.datasets.synthetic.bird_drawing import KEYPOINTS, draw_bird
from fgbench.datasets.synthetic.birds import SyntheticBirds, generate
from fgbench.datasets.synthetic.species import species
from fgbench.util.errors import ArgumentError, FgbenchError

TINY = SyntheticBirds(classes=2, train_per_class=2, test_per_class=1, size=64)


def digests(root):
    return {p.relative_to(root): hashlib.sha256(p.read_bytes()).hexdigest() for p in root.rglob("*") if p.is_file()}


def test_files_depend_on_the_settings_but_not_on_the_number_of_workers(tmp_path):
    one = digests(generate(tmp_path / "one", TINY, workers=1))
    two = digests(generate(tmp_path / "two", TINY, workers=2))
    assert one == two
    other = digests(generate(tmp_path / "other", replace(TINY, seed=1), workers=1))
    images = [name for name in one if name.suffix == ".jpg"]
    assert len(images) == 6
    assert all(one[name] != other[name] for name in images)


def test_species_are_reproducible_and_distinct():
    birds = [species(n) for n in range(60)]
    assert species(7) == birds[7]
    looks = {tuple(getattr(b, f) for f in b.__dataclass_fields__ if f not in {"number", "name"}) for b in birds}
    assert len(looks) == 60


def test_species_of_a_genus_differ_in_small_parts_only():
    base, other = species(10), species(11)
    same = ("back", "belly", "head", "wing", "plump", "leg")
    assert all(getattr(base, name) == getattr(other, name) for name in same)
    assert base.attributes() != other.attributes() or base.bill_length != other.bill_length


def test_disjoint_ranges_of_the_list_share_no_class(tmp_path):
    a = cub.load(generate(tmp_path / "a", TINY, workers=1))
    b = cub.load(generate(tmp_path / "b", replace(TINY, first_class=1000), workers=1))
    assert not {name[4:] for name in a.classes} & {name[4:] for name in b.classes}


def test_keypoints_are_inside_the_box_of_the_bird(birds):
    for row, file in enumerate(birds.files):
        with Image.open(birds.root / file) as image:
            width, height = image.size
        visible = birds.parts[row][birds.parts[row][:, 2] > 0, :2]
        x, y, w, h = birds.boxes[row]
        assert min(x, y) >= 0
        assert (x + w, y + h) <= (width + 0.01, height + 0.01)
        assert y + h <= height + 0.01
        assert ((visible >= (x - 1, y - 1)) & (visible <= (x + w + 1, y + h + 1))).all()
    assert birds.part_names == KEYPOINTS
    share = birds.parts[:, :, 2].mean(axis=0)
    assert share[KEYPOINTS.index("beak")] > 0.7
    assert 0.2 < share[KEYPOINTS.index("left eye")] < 0.8


def test_the_visible_eye_is_dark_and_on_the_near_side():
    dark = 0
    for n in range(30):
        drawing = draw_bird(species(0), (160, 120), np.random.default_rng(n))
        eyes = [drawing.keypoints[KEYPOINTS.index(f"{side} eye")] for side in ("left", "right")]
        assert sum(eye[2] for eye in eyes) <= 1
        for left, eye in zip((True, False), eyes, strict=True):
            beak = drawing.keypoints[KEYPOINTS.index("beak")]
            if eye[2] and beak[2] and abs(beak[0] - eye[0]) > 8:
                assert (beak[0] < eye[0]) == left
            if eye[2]:
                x, y = int(eye[0]), int(eye[1])
                patch = np.asarray(drawing.image)[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
                dark += patch.min() < np.asarray(drawing.image).mean()
    assert dark > 20


def test_background_pixels_do_not_predict_the_species(tmp_path):
    """A classifier of border pixels is at chance level; a classifier of the bird is above it."""
    settings = SyntheticBirds(classes=4, train_per_class=40, test_per_class=20, size=64)
    index = cub.load(generate(tmp_path / "d", replace(settings, first_class=3), workers=2))
    border, body = [], []
    for row, file in enumerate(index.files):
        with Image.open(index.root / file) as image:
            pixels = np.asarray(image, dtype=float)
            box = index.boxes[row]
            crop = image.crop((box[0], box[1], box[0] + box[2], box[1] + box[3])).resize((8, 8))
        edge = np.concatenate([pixels[:3].reshape(-1, 3), pixels[-3:].reshape(-1, 3)])
        border.append([*edge.mean(0), *edge.std(0)])
        body.append(np.asarray(crop, dtype=float).ravel())

    def accuracy(features):
        x = np.array(features)
        x = (x - x.mean(0)) / (x.std(0) + 1e-9)
        model = LogisticRegression(max_iter=2000, C=0.1).fit(x[index.train], index.labels[index.train])
        return model.score(x[~index.train], index.labels[~index.train])

    assert accuracy(border) < 0.25 + 3 * np.sqrt(0.25 * 0.75 / 80)
    assert accuracy(body) > 0.45


def test_an_existing_folder_is_an_error_and_a_failure_leaves_no_folder(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    with pytest.raises(FgbenchError, match="already exists"):
        generate(tmp_path / "here", TINY, workers=1)

    def fail(*arguments):
        raise RuntimeError("stop")

    monkeypatch.setattr(birds_module, "draw_bird", fail)
    with pytest.raises(RuntimeError):
        generate(tmp_path / "new", TINY, workers=1)
    assert [p.name for p in tmp_path.iterdir()] == ["here"]


def test_settings_out_of_range_are_an_error(tmp_path):
    with pytest.raises(ArgumentError, match="at least 2 classes"):
        generate(tmp_path / "x", SyntheticBirds(classes=1), workers=1)
