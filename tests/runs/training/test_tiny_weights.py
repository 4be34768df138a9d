import mini  # noqa: F401 - few birds to train on
import torch

from fgbench.runs.training.tiny_weights import pretrained_tiny
from fgbench.util.numeric.seeding import same_operations


def state():
    return (
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,
    )


def test_a_small_network_is_the_same_wherever_it_is_trained(tmp_path, monkeypatch):
    files, outside = [], state()
    with same_operations():
        for threads, strict in ((1, True), (3, False)):
            monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / str(threads)))
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(strict)
            before = state()
            files.append(pretrained_tiny("tiny_m").read_bytes())
            assert state() == before
    assert state() == outside
    assert files[0] == files[1]
