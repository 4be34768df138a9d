from contextlib import nullcontext

import numpy as np
import pytest
import torch

from fgbench.backbones.map_cache import BF16_TOLERANCE, TOLERANCE, MapCache
from fgbench.util.errors import FgbenchError


class Network:
    """A convolution and a ReLU that count their images."""

    def __init__(self, seed=0, size=8):
        generator = torch.Generator().manual_seed(seed)
        self.weight = torch.randn(size, 3, 3, 3, generator=generator)
        self.image_count = 0

    def __call__(self, images):
        self.image_count += len(images)
        out = torch.conv2d(images.float(), self.weight, stride=2).relu()
        return out.contiguous(memory_format=torch.channels_last)


def pictures(count, seed=0, height=9, width=11):
    shape = (count, height, width, 3)
    made = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    return made.permute(0, 3, 1, 2)


def files(folder):
    return sorted(folder.rglob("*.npz"))


def test_a_cached_output_is_exact_and_has_the_same_strides(tmp_path):
    network, images = Network(), pictures(5)
    expected = network(images)
    first, second = Network(), Network()
    recalled = []
    assert torch.equal(MapCache(tmp_path, first)(images), expected)
    cache = MapCache(tmp_path, second, recalled.append)
    for _ in range(2):
        maps = cache(images)
        assert torch.equal(maps, expected)
        assert maps.stride() == expected.stride()
    assert (first.image_count, second.image_count) == (5, 1)  # the one image is for verification
    assert recalled == [5, 5]


def test_a_batch_of_cached_new_and_repeated_images_is_in_order(tmp_path):
    images, recalled = pictures(4), []
    MapCache(tmp_path, Network())(images[1:3])
    network = Network()
    cache = MapCache(tmp_path, network, recalled.append)
    mixed = images[[3, 2, 0, 3, 1]]
    assert torch.equal(cache(mixed), Network()(mixed))
    assert torch.equal(cache(mixed), Network()(mixed))
    assert recalled == [2, 2]  # without the images that this object computed
    assert len(files(tmp_path)) == 4


def test_vectors_with_negative_values_are_cached(tmp_path):
    def vectors(images):
        return images.float().mean((2, 3)) - 128

    images = pictures(3)
    MapCache(tmp_path, vectors)(images)
    cached = MapCache(tmp_path, vectors)(images)
    assert torch.equal(cached, vectors(images))
    assert (cached < 0).any()


def test_images_with_the_same_bytes_and_other_shapes_differ(tmp_path):
    cache = MapCache(tmp_path, Network())
    flat = pictures(1)
    transposed = flat.permute(0, 2, 3, 1).reshape(1, 11, 9, 3).permute(0, 3, 1, 2)
    cache(flat), cache(flat.flip(-1))
    assert torch.equal(cache(transposed), Network()(transposed))
    assert len(files(tmp_path)) == 3


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b""), lambda path: path.write_bytes(b"PK" * 90)])
def test_a_damaged_file_is_computed_again(tmp_path, damage):
    images = pictures(2)
    MapCache(tmp_path, Network())(images)
    for path in files(tmp_path):
        damage(path)
    assert torch.equal(MapCache(tmp_path, Network())(images), Network()(images))
    assert [np.load(path)["values"].size > 0 for path in files(tmp_path)] == [True, True]


def test_a_truncated_file_is_computed_again(tmp_path):
    images = pictures(1)
    MapCache(tmp_path, Network())(images)
    (path,) = files(tmp_path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert torch.equal(MapCache(tmp_path, Network())(images), Network()(images))


def test_maps_of_another_network_are_an_error_with_a_command(tmp_path):
    images = pictures(2)
    MapCache(tmp_path, Network())(images)
    with pytest.raises(FgbenchError, match="differ from the output of the network") as caught:
        MapCache(tmp_path, Network(seed=1))(images)
    assert f"rm -r {tmp_path}" in str(caught.value)
    assert len(files(tmp_path)) == 2


@pytest.mark.parametrize(("tolerance", "accepted"), [(TOLERANCE, False), (BF16_TOLERANCE, True)])
def test_maps_in_bfloat16_of_another_processor_are_accepted_and_float32_ones_are_not(tmp_path, tolerance, accepted):
    images, network = pictures(2), Network()
    MapCache(tmp_path, lambda batch: network(batch).bfloat16().float())(images)
    cache = MapCache(tmp_path, network, tolerance=tolerance)
    with nullcontext() if accepted else pytest.raises(FgbenchError, match="differ from the output of the network"):
        cache(images)
    with pytest.raises(FgbenchError, match="differ from the output of the network"):
        MapCache(tmp_path, Network(seed=1), tolerance=tolerance)(images)


def test_a_full_disk_changes_no_output(tmp_path, monkeypatch):
    def full(path, write):
        raise FgbenchError("the disk is full")

    monkeypatch.setattr("fgbench.backbones.map_cache.write_atomic", full)
    images = pictures(2)
    assert torch.equal(MapCache(tmp_path, Network())(images), Network()(images))
    assert not files(tmp_path)


def exact(size=8):
    """Return a network whose sums need no rounding, so that the size of a batch changes no bit."""
    network = Network(size=size)
    network.weight = network.weight.round()
    return network


def test_a_file_of_another_shape_or_image_is_computed_again(tmp_path, capsys):
    images = pictures(3)
    expected = MapCache(tmp_path / "a", exact())(images)
    MapCache(tmp_path / "b", exact(4))(images)
    for number, (path, other) in enumerate(zip(files(tmp_path / "a"), files(tmp_path / "b"), strict=True)):
        path.write_bytes(other.read_bytes())
        assert torch.equal(MapCache(tmp_path / "a", exact())(images), expected), number
        assert "is damaged (its shape is wrong)" in capsys.readouterr().err
    first, second, _ = files(tmp_path / "a")
    first.write_bytes(second.read_bytes())
    assert torch.equal(MapCache(tmp_path / "a", exact())(images), expected)
    assert "it belongs to another image" in capsys.readouterr().err


def test_only_the_first_of_many_damaged_files_is_named(tmp_path, capsys):
    images = pictures(5)
    MapCache(tmp_path, Network())(images)
    for path in files(tmp_path):
        path.write_bytes(b"")
    MapCache(tmp_path, Network())(images)
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert len(list(tmp_path.rglob("*.damaged"))) == 5


def test_a_shape_that_is_too_small_for_the_data_is_damage(tmp_path):
    """The checksum of an array is verified at its end, which a smaller shape does not reach."""
    images = pictures(1, height=99, width=99)
    expected = MapCache(tmp_path, Network())(images)
    (path,) = files(tmp_path)
    with np.load(path) as file:
        count = str(len(file["values"]))
    smaller = str(int(count) // 2).rjust(len(count))
    path.write_bytes(path.read_bytes().replace(f"({count},)".encode(), f"({smaller},)".encode()))
    assert torch.equal(MapCache(tmp_path, Network())(images), expected)


def test_files_without_the_hash_of_the_image_are_used(tmp_path):
    images = pictures(1)
    MapCache(tmp_path, Network())(images)
    (path,) = files(tmp_path)
    with np.load(path) as file:
        arrays = {name: file[name] for name in ("shape", "mask", "values")}
    np.savez(path, **arrays)
    recalled = []
    assert torch.equal(MapCache(tmp_path, Network(), recalled.append)(images), Network()(images))
    assert recalled == [1]
