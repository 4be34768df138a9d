from dataclasses import replace

import pytest
import torch
from small_trainings import NAMES, PIPELINE, Share, bcnn, numbered_data, source, stage

from fgbench.datasets.augment import augment, mirror_order
from fgbench.runs.training import batches
from fgbench.util.numeric.seeding import generator


def numbers(batch):
    """Which images a batch holds; augmentation keeps the corner-free middle of an image."""
    return (batch.images[:, 0].flatten(1).median(1).values - 1).tolist()


def test_an_epoch_shows_every_image_once_in_an_order_of_its_own(tmp_path):
    made = source(tmp_path, stage(augment=False, batch_size=4))
    epochs = [list(made.batches(epoch)) for epoch in (1, 2, 1)]
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


def test_augmentation_is_that_of_the_pipeline_in_the_epochs_draws(tmp_path):
    made, given = source(tmp_path, stage(batch_size=4)), numbered_data()
    draw = generator(0, "augment", "s", 3)
    for batch in made.batches(3):
        rows = numbers(batch)
        images = torch.from_numpy(given.pixels[rows]).permute(0, 3, 1, 2)
        points = torch.from_numpy(given.keypoints[rows]).float()
        expected, moved = augment(PIPELINE, images, draw, points, mirror_order(NAMES))
        assert torch.equal(batch.images, expected)
        assert torch.equal(batch.target.keypoints, moved)


def test_keypoints_reach_the_method_and_lie_on_their_pixels(tmp_path):
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
            assert (left[:, 0] < right[:, 0]).all()  # a mirror image has its left eye on the left again
    assert source(tmp_path, stage(), replace(numbered_data(), keypoints=None, part_names=())).order is None
    (batch,) = source(tmp_path, stage(batch_size=10), replace(numbered_data(), keypoints=None, part_names=())).batches(
        1
    )
    assert batch.target.keypoints is None


@pytest.mark.parametrize("plan", [stage(batch_size=4), stage(batch_size=4, augment=False), stage(
    batch_size=4, augment=False, train=("classifier",)
)])  # fmt: skip
@pytest.mark.parametrize("processes", [2, 3])
def test_the_shares_of_processes_make_up_the_batches_of_one(plan, processes, tmp_path):
    alone = list(source(tmp_path, plan).batches(1))
    shares = [list(source(tmp_path, plan, engine=Share(rank, processes)).batches(1)) for rank in range(processes)]
    for number, whole in enumerate(alone):
        parts = [share[number] for share in shares]
        assert sum(part.share for part in parts) == pytest.approx(1)
        assert {part.whole for part in parts} == {len(whole.target.labels)}
        for rank, part in enumerate(parts):
            own = slice(rank, None, processes)
            if not part.share:
                assert len(range(whole.whole)[own]) == 0
                assert len(part.target.labels) == 1
                continue
            assert part.share == len(part.target.labels) / part.whole
            assert torch.equal(part.target.labels, whole.target.labels[own])
            assert torch.equal(part.target.keypoints, whole.target.keypoints[own])
            for kind in ("images", "features"):
                mine, all_ = getattr(part, kind), getattr(whole, kind)
                assert (mine is None) == (all_ is None)
                assert mine is None or torch.equal(mine, all_[own])
    if processes == 3:
        assert any(not part.share for share in shares for part in share)


@pytest.mark.parametrize(("fields", "kept"), [
    ({"train": ("classifier",), "augment": False}, True),
    ({"train": ("classifier",), "augment": True}, False),
    ({"train": ("classifier", "backbone"), "augment": False}, False),
    ({"train": ("backbone",), "augment": False}, False),
])  # fmt: skip
def test_features_are_kept_when_only_the_head_is_trained_on_images_that_stay_the_same(fields, kept, tmp_path):
    made = source(tmp_path, stage(**fields))
    assert (made.features is not None) == kept == (tmp_path / "features.npy").is_file()
    for batch in made.batches(1):
        assert (batch.features is not None) == kept == (batch.images is None)
    made.drop()
    assert not list(tmp_path.iterdir())


def test_kept_features_are_those_of_the_images(tmp_path):
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
    monkeypatch.setattr(batches, "map_images", None)
    assert source(tmp_path, plan, engine=Share(1, 2)).features.shape[0] == 10
    with pytest.raises(TypeError):
        source(tmp_path, plan)
