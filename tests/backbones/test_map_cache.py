import numpy as np
import pytest
import torch

from fgbench.backbones.map_cache import KeptMaps
from fgbench.util.errors import FgbenchError


class Network:
    """A convolution and a ReLU that count what they are given."""

    def __init__(self, seed=0, size=8):
        generator = torch.Generator().manual_seed(seed)
        self.weight = torch.randn(size, 3, 3, 3, generator=generator)
        self.seen = 0

    def __call__(self, images):
        self.seen += len(images)
        out = torch.conv2d(images.float(), self.weight, stride=2).relu()
        return out.contiguous(memory_format=torch.channels_last)


def pictures(count, seed=0, height=9, width=11):
    shape = (count, height, width, 3)
    made = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    return made.permute(0, 3, 1, 2)


def files(folder):
    return sorted(folder.rglob("*.npz"))


def test_what_was_computed_once_comes_back_bit_for_bit_and_in_the_same_layout(tmp_path):
    network, images = Network(), pictures(5)
    expected = network(images)
    first, second = Network(), Network()
    told = []
    assert torch.equal(KeptMaps(tmp_path, first)(images), expected)
    kept = KeptMaps(tmp_path, second, told.append)
    for _ in range(2):
        found = kept(images)
        assert torch.equal(found, expected)
        assert found.stride() == expected.stride()
    assert (first.seen, second.seen) == (5, 1)  # the one is the check
    assert told == [5, 5]


def test_a_batch_of_known_new_and_equal_images_is_in_order(tmp_path):
    images, told = pictures(4), []
    KeptMaps(tmp_path, Network())(images[1:3])
    network = Network()
    kept = KeptMaps(tmp_path, network, told.append)
    mixed = images[[3, 2, 0, 3, 1]]
    assert torch.equal(kept(mixed), Network()(mixed))
    assert torch.equal(kept(mixed), Network()(mixed))
    assert told == [2, 2]  # what it has computed itself is not told
    assert len(files(tmp_path)) == 4


def test_vectors_and_their_signs_are_kept_too(tmp_path):
    def vectors(images):
        return images.float().mean((2, 3)) - 128

    images = pictures(3)
    KeptMaps(tmp_path, vectors)(images)
    found = KeptMaps(tmp_path, vectors)(images)
    assert torch.equal(found, vectors(images))
    assert (found < 0).any()


def test_an_image_is_its_pixels_and_its_shape(tmp_path):
    kept = KeptMaps(tmp_path, Network())
    flat = pictures(1)
    turned = flat.permute(0, 2, 3, 1).reshape(1, 11, 9, 3).permute(0, 3, 1, 2)
    kept(flat), kept(flat.flip(-1))
    assert torch.equal(kept(turned), Network()(turned))
    assert len(files(tmp_path)) == 3


@pytest.mark.parametrize("spoil", [lambda path: path.write_bytes(b""), lambda path: path.write_bytes(b"PK" * 90)])
def test_a_damaged_file_is_computed_again(tmp_path, spoil):
    images = pictures(2)
    KeptMaps(tmp_path, Network())(images)
    for path in files(tmp_path):
        spoil(path)
    assert torch.equal(KeptMaps(tmp_path, Network())(images), Network()(images))
    assert [np.load(path)["values"].size > 0 for path in files(tmp_path)] == [True, True]


def test_half_a_file_is_computed_again(tmp_path):
    images = pictures(1)
    KeptMaps(tmp_path, Network())(images)
    (path,) = files(tmp_path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert torch.equal(KeptMaps(tmp_path, Network())(images), Network()(images))


@pytest.mark.parametrize("other", [Network(seed=1), Network(size=4)])
def test_maps_of_another_network_are_refused_with_what_to_type(tmp_path, other):
    images = pictures(2)
    KeptMaps(tmp_path, Network())(images)
    with pytest.raises(FgbenchError, match="are not what the network gives now") as caught:
        KeptMaps(tmp_path, other)(images)
    assert f"rm -r {tmp_path}" in str(caught.value)
    assert len(files(tmp_path)) == 2


def test_without_room_nothing_is_kept_and_nothing_is_lost(tmp_path, monkeypatch):
    def full(path, write):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fgbench.backbones.map_cache.write_atomic", full)
    images = pictures(2)
    assert torch.equal(KeptMaps(tmp_path, Network())(images), Network()(images))
    assert not files(tmp_path)
