from dataclasses import replace

import numpy as np
import pytest
import torch
from small_trainings import NAMES, PIPELINE, Share, bcnn, numbered_data, source, stage

from fgbench.datasets.augment import augment, mirror_order
from fgbench.runs.training import head_features
from fgbench.util.numeric.seeding import generator


def numbers(batch):
    """Return the numbers of the images of a batch: the median brightness, which augmentation preserves."""
    return (batch.images[:, 0].flatten(1).median(1).values - 1).tolist()


def test_an_epoch_contains_every_image_once_in_an_order_from_seed_stage_and_epoch(tmp_path):
    batch_source = source(tmp_path, stage(augment=False, batch_size=4))
    epochs = [list(batch_source.batches(epoch)) for epoch in (1, 2, 1)]
    orders = [[number for batch in epoch for number in numbers(batch)] for epoch in epochs]
    assert [len(batch.images) for batch in epochs[0]] == [4, 4, 2]
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert orders[0] == orders[2] != orders[1]
    for other in (source(tmp_path, stage(augment=False, batch_size=4), seed=1),
                  source(tmp_path, stage(augment=False, batch_size=4), name="t")):  # fmt: skip
        assert [number for batch in other.batches(1) for number in numbers(batch)] != orders[0]
    for batch in epochs[0]:
        assert batch.target.labels.tolist() == [number % 3 for number in numbers(batch)]
        assert (batch.share, batch.whole) == (1.0, len(batch.images))
        assert batch.images.dtype == torch.uint8


def test_augmentation_uses_the_random_numbers_of_the_epoch(tmp_path):
    batch_source, images_with_numbers = source(tmp_path, stage(batch_size=4)), numbered_data()
    draw = generator(0, "augment", "s", 3)
    for batch in batch_source.batches(3):
        rows = numbers(batch)
        images = torch.from_numpy(images_with_numbers.pixels[rows]).permute(0, 3, 1, 2)
        points = torch.from_numpy(images_with_numbers.keypoints[rows]).float()
        expected, moved = augment(PIPELINE, images, draw, points, mirror_order(NAMES))
        assert torch.equal(batch.images, expected)
        assert torch.equal(batch.target.keypoints, moved)


def test_keypoints_match_the_pixels_of_their_image(tmp_path):
    for augmented in (False, True):
        for batch in source(tmp_path, stage(batch_size=5, augment=augmented)).batches(1):
            assert batch.target.keypoints.shape == (5, 3, 3)
            assert batch.target.keypoints.dtype == torch.float32
            rows, columns = torch.meshgrid(*[torch.arange(batch.images.shape[-1]) + 0.5] * 2, indexing="ij")
            for image, points in zip(batch.images, batch.target.keypoints, strict=True):
                light = (image[0] > 128).float()
                middle = torch.stack([(columns * light).sum(), (rows * light).sum()]) / light.sum()
                torch.testing.assert_close(points[2, :2], middle, atol=0.5, rtol=0)
            left, right = batch.target.keypoints[:, 0], batch.target.keypoints[:, 1]
            assert (left[:, 0] < right[:, 0]).all()  # mirroring swaps the left and the right eye
    assert source(tmp_path, stage(), replace(numbered_data(), keypoints=None, part_names=())).order is None
    (batch,) = source(tmp_path, stage(batch_size=10), replace(numbered_data(), keypoints=None, part_names=())).batches(
        1
    )
    assert batch.target.keypoints is None


@pytest.mark.parametrize("plan", [stage(batch_size=4), stage(batch_size=4, augment=False), stage(
    batch_size=4, augment=False, train=("classifier",)
)])  # fmt: skip
@pytest.mark.parametrize("processes", [2, 3])
def test_shares_of_processes_add_up_to_the_batches_of_one_process(plan, processes, tmp_path):
    alone = list(source(tmp_path, plan).batches(1))
    shares = [list(source(tmp_path, plan, engine=Share(rank, processes)).batches(1)) for rank in range(processes)]
    for number, whole in enumerate(alone):
        parts = [share[number] for share in shares]
        assert sum(part.share for part in parts) == pytest.approx(1)
        assert {part.whole for part in parts} == {len(whole.target.labels)}
        for rank, part in enumerate(parts):
            few = whole.whole < processes  # every process computes all of them
            rank_rows = slice(None) if few else slice(rank, None, processes)
            assert part.share == (1 / processes if few else len(part.target.labels) / part.whole)
            assert torch.equal(part.target.labels, whole.target.labels[rank_rows])
            assert torch.equal(part.target.keypoints, whole.target.keypoints[rank_rows])
            for kind in ("images", "features"):
                part_values, whole_values = getattr(part, kind), getattr(whole, kind)
                assert (part_values is None) == (whole_values is None)
                assert part_values is None or torch.equal(part_values, whole_values[rank_rows])
    if processes == 3:
        assert any(part.whole < processes for share in shares for part in share)


@pytest.mark.parametrize(("fields", "kept"), [
    ({"train": ("classifier",), "augment": False}, True),
    ({"train": ("classifier",), "augment": True}, False),
    ({"train": ("classifier", "backbone"), "augment": False}, False),
    ({"train": ("backbone",), "augment": False}, False),
])  # fmt: skip
def test_features_are_kept_only_if_the_head_is_trained_without_augmentation(fields, kept, tmp_path):
    batch_source = source(tmp_path, stage(**fields))
    assert (batch_source.features is not None) == kept == (tmp_path / "features.npy").is_file()
    for batch in batch_source.batches(1):
        assert (batch.features is not None) == kept == (batch.images is None)
    batch_source.drop()
    assert not list(tmp_path.iterdir())


def test_kept_features_equal_the_trunk_of_the_images(tmp_path):
    plan = stage(train=("classifier",), augment=False, batch_size=4)
    kept = list(source(tmp_path, plan).batches(1))
    method = bcnn().eval()
    plain = list(source(tmp_path, plan.model_copy(update={"train": ("backbone",)})).batches(1))
    with torch.inference_mode():
        for features, images in zip(kept, plain, strict=True):
            assert torch.equal(features.target.labels, images.target.labels)
            torch.testing.assert_close(features.features, method.trunk(images.images), rtol=1e-4, atol=1e-5)


def test_only_the_first_process_computes_features(tmp_path, monkeypatch):
    plan = stage(train=("classifier",), augment=False)
    source(tmp_path, plan)
    monkeypatch.setattr(head_features, "map_images", None)
    assert source(tmp_path, plan, engine=Share(1, 2)).features.rows.shape[0] == 10
    with pytest.raises(TypeError):
        source(tmp_path, plan)


def test_images_that_are_mirrored_once_stay_so_in_every_epoch(tmp_path):
    head = stage(train=("classifier",), augment=False, batch_size=3, flip_once=True)
    data = replace(numbered_data(), keypoints=None, part_names=())
    sources = {
        "mirrored": source(tmp_path / "a", head, data),
        "again": source(tmp_path / "b", head, data),
        "another seed": source(tmp_path / "c", head, data, seed=1),
    }
    pixels = {name: np.stack([batches.data.pixels[row] for row in range(10)]) for name, batches in sources.items()}
    plain = source(tmp_path / "d", head.model_copy(update={"flip_once": False}), data).data.pixels
    kinds = {
        name: ["plain" if np.array_equal(a, b) else "mirror" if np.array_equal(a, b[:, ::-1]) else "else"
               for a, b in zip(values, plain, strict=True)]
        for name, values in pixels.items()
    }  # fmt: skip
    assert set(kinds["mirrored"]) == {"plain", "mirror"}
    assert kinds["mirrored"] == kinds["again"] != kinds["another seed"]
    mirrored = sources["mirrored"]
    for rows in (slice(2, 7), np.array([4, 1, 9])):
        assert np.array_equal(mirrored.data.pixels[rows], pixels["mirrored"][rows])
    # The features are those of the mirrored images.
    trunk = bcnn().eval().trunk
    with torch.no_grad():
        expected = trunk(torch.from_numpy(pixels["mirrored"]).permute(0, 3, 1, 2))
    torch.testing.assert_close(torch.from_numpy(np.array(mirrored.features.rows)), expected, rtol=1e-4, atol=1e-6)
