import mini  # noqa: F401 - replaces the training images by fewer
import pytest
import torch
from faults.damages import flip
from faults.work_files import in_cache, network

from fgbench.runs.training import tiny_weights
from fgbench.runs.training.tiny_weights import pretrained_tiny
from fgbench.util.errors import FgbenchError
from fgbench.util.numeric.seeding import same_operations


def torch_state():
    return (
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,
    )


def test_weights_do_not_depend_on_the_state_of_the_process(tmp_path, monkeypatch):
    files, outside = [], torch_state()
    with same_operations():
        for threads, strict in ((1, True), (3, False)):
            monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / str(threads)))
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(strict)
            before = torch_state()
            files.append(pretrained_tiny("tiny_m").read_bytes())
            assert torch_state() == before
    assert torch_state() == outside
    assert files[0] == files[1]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a cache folder with a small network, and what must be equal when it is trained again."""
    folder = tmp_path_factory.mktemp("cache")
    with in_cache(folder):
        return folder, network(folder)


@pytest.mark.parametrize(("pattern", "text"), [
    ("weights/*.safetensors", "its checksum is wrong"),
    ("data/*/images/*/*.jpg", "its files are not those that were generated"),
])  # fmt: skip
def test_a_damaged_network_is_trained_again_and_damaged_images_are_generated_again(trained, capsys, pattern, text):
    folder, expected = trained
    flip(0.9, 3)(min(folder.glob(pattern)))
    with in_cache(folder):
        assert network(folder) == expected
        told = capsys.readouterr().err
        assert text in told
        assert "computed again" in told
        assert network(folder) == expected
    assert not capsys.readouterr().err


def test_a_network_is_read_from_a_cache_that_cannot_be_written(trained, monkeypatch):
    folder, expected = trained
    monkeypatch.setattr(tiny_weights, "locked", None)
    with in_cache(folder):
        assert network(folder) == expected


def test_a_cache_that_cannot_be_written_is_an_error_with_the_next_step(tmp_path):
    (tmp_path / "file").touch()
    with in_cache(tmp_path / "file"), pytest.raises(FgbenchError, match="is a file, not a folder") as caught:
        pretrained_tiny("tiny_m")
    assert "set FGBENCH_CACHE" in caught.value.hint
