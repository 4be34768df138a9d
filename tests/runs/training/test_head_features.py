import mini
import numpy as np
import pytest
import torch
from gpu_training import PLENTY, gpu_with
from simulated_tensor import SimulatedTensor
from small_trainings import Share, bcnn, numbered_data, same, stage, values

from fgbench.runs import execute
from fgbench.runs.training import head_features, loop
from fgbench.runs.training.batches import BatchSource
from fgbench.runs.training.head_features import (
    Storage,
    choose_storage,
    count_operations,
    note_storage,
    noted_storage,
    room_for_features,
)
from fgbench.runs.training.training_log import TrainingLog

GIB = 1 << 30
CUB = 5994
BCNN = 512 * 512
PYRAMID = 5 * BCNN
HEAD = {"train": ("classifier",), "augment": False, "batch_size": 4}


@pytest.mark.parametrize(("values", "free", "operations", "storage"), [
    (BCNN, 80 * GIB, 0, Storage.GPU),
    (BCNN, 7 * GIB, 0, Storage.FILE),
    (PYRAMID, 80 * GIB, 0, Storage.GPU),
    (PYRAMID, 24 * GIB, 0, Storage.GPU_BF16),
    (PYRAMID, 8 * GIB, 10**12, Storage.FILE_BF16),
    (PYRAMID, 8 * GIB, 10**9, Storage.RECOMPUTED),
    (PYRAMID + 1, 8 * GIB, 10**12, Storage.RECOMPUTED),
])  # fmt: skip
def test_features_are_kept_in_float32_if_they_fit_else_in_the_cheaper_of_two_ways(values, free, operations, storage):
    assert choose_storage(CUB, values, 300, free, lambda: operations) == storage


@pytest.mark.parametrize(("free", "room"), [(4, 0), (8, 0), (12, 4), (32, 24), (80, 60)])
def test_features_leave_room_for_the_training_of_the_head(free, room):
    assert room_for_features(free * GIB) == room * GIB


def test_no_choice_writes_a_file_of_more_than_half_of_the_features_of_the_pyramid():
    for free in range(0, 100 * GIB, GIB):
        assert choose_storage(CUB, PYRAMID, 300, free, lambda: 10**12) != Storage.FILE


def test_operations_of_a_trunk_are_those_of_its_products():
    layer = torch.nn.Conv2d(3, 5, 3, bias=False)
    image = torch.zeros(1, 3, 10, 12)
    assert count_operations(lambda images: layer(images).relu(), image) == 2 * (8 * 10) * 5 * 3 * 9


def epoch(storage, folder, monkeypatch):
    """Train a head for an epoch on the simulated GPU.

    Returns:
        The trained values, the features of the batches, the waits of the epoch, and the sizes of the files.
    """
    free, rate = {
        Storage.GPU: (PLENTY, 0),
        Storage.FILE: (0, 0),
        Storage.GPU_BF16: (4 * len(numbered_data().labels) * 48 * 48, 0),
        Storage.FILE_BF16: (0, 0),
        Storage.RECOMPUTED: (0, 1e9),
    }[storage]
    monkeypatch.setattr(head_features, "FILE_BYTES", 0 if storage is not Storage.FILE else 8 * GIB)
    monkeypatch.setattr(head_features, "OPERATIONS_PER_BYTE", rate)
    monkeypatch.setattr(head_features, "ROOM_BYTES", 0)
    folder.mkdir()
    with gpu_with(free) as (gpu, engine):
        method, plan = bcnn().to("cuda"), stage(**HEAD)
        source = BatchSource(method, numbered_data(), plan, 0, "head", engine, folder / "features-0.npy")
        assert source.features.storage is storage
        optimizer = loop._optimizer(method, plan)
        features = [batch.features.cpu() for batch in source.batches(1)]
        gpu.clear()
        loop._train_epoch(method, plan, optimizer, source.batches(1), engine, TrainingLog({}))
        waits = list(gpu.waits)
        trained = {name: value.cpu() for name, value in values(method).items()}
        sizes = {path.name: path.stat().st_size for path in folder.glob("*.npy")}
        source.drop()
    return trained, features, waits, sizes


@pytest.fixture(scope="module")
def on_cpu(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cpu")
    method, plan = bcnn(), stage(**HEAD)
    source = BatchSource(method, numbered_data(), plan, 0, "head", Share(), folder / "features-0.npy")
    assert source.features.storage is Storage.FILE
    features = [batch.features for batch in source.batches(1)]
    loop._train_epoch(method, plan, loop._optimizer(method, plan), source.batches(1), Share(), TrainingLog({}))
    assert noted_storage(folder) == {}
    return values(method), features


@pytest.mark.parametrize("storage", Storage)
def test_an_epoch_of_the_head_has_the_values_of_the_cpu_and_one_wait(storage, on_cpu, tmp_path, monkeypatch):
    trained, features, waits, sizes = epoch(storage, tmp_path / "work", monkeypatch)
    expected, plain = on_cpu
    rounds = storage in {Storage.GPU_BF16, Storage.FILE_BF16}
    for found, batch in zip(features, plain, strict=True):
        assert found.dtype == torch.float32
        wanted = batch.bfloat16().float() if rounds else batch
        torch.testing.assert_close(found, wanted, rtol=1 / 128 if rounds else 1e-5, atol=1e-6)
        assert torch.equal(found, found.bfloat16().float()) == rounds
    if storage is Storage.FILE:
        assert same(trained, expected)
    for name, value in trained.items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=1e-3 if rounds else 1e-6)
    assert len(waits) == 1, waits
    size = 4 * len(numbered_data().labels) * plain[0].shape[1]
    expected_sizes = {Storage.FILE: size, Storage.FILE_BF16: size // 2}
    assert [length - 128 for length in sizes.values()] == (
        [expected_sizes[storage]] if storage in expected_sizes else []
    )
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["head-features.json"]
    assert noted_storage(tmp_path / "work") == {"head_features": {"head": [storage.value]}}


def test_features_computed_again_use_images_in_the_memory_of_the_gpu(tmp_path, monkeypatch):
    monkeypatch.setattr(head_features, "choose_storage", lambda *arguments: Storage.RECOMPUTED)
    with gpu_with() as (gpu, engine):
        source = BatchSource(bcnn().to("cuda"), numbered_data(), stage(**HEAD), 0, "s", engine, tmp_path / "f.npy")
        assert isinstance(source.features._images, SimulatedTensor)
        gpu.clear()
        batches = list(source.batches(1))
        assert (gpu.waits, gpu.copied) == ([], 8 * 10)  # the order of the images
        assert not any(batch.features.requires_grad for batch in batches)


def test_the_note_keeps_the_storage_of_an_earlier_session(tmp_path):
    for storage in (Storage.GPU, Storage.FILE_BF16, Storage.GPU):
        note_storage(tmp_path, "head", storage)
    note_storage(tmp_path, "other", Storage.FILE)
    assert noted_storage(tmp_path) == {
        "head_features": {"head": [Storage.GPU, Storage.FILE_BF16], "other": [Storage.FILE]}
    }


def test_packed_features_are_those_in_bfloat16():
    features = torch.from_numpy(np.random.default_rng(0).normal(0, 1e3, (4, 3, 2, 5)).astype(np.float32))
    packed = head_features.pack(features)
    assert (packed.shape, packed.dtype) == ((4, 15), torch.float32)
    assert torch.equal(head_features.unpack(packed, features.shape[1:]), features.bfloat16().float())


def test_the_record_says_how_features_were_kept(tmp_path, monkeypatch):
    note = {"head_features": {"classifier": [Storage.FILE_BF16.value]}}
    monkeypatch.setattr(execute, "noted_storage", lambda work: note)
    assert mini.do(mini.run_of("fv_sift"), tmp_path).provenance["head_features"] == note["head_features"]
