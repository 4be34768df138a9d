import mini  # noqa: F401 - replaces the training images by fewer
import torch

from fgbench.runs.training.tiny_weights import pretrained_tiny
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
