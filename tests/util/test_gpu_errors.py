import sys

import pytest
import torch

from fgbench.cli.app import main
from fgbench.layers.keypoint_maps import encode_keypoints
from fgbench.util.gpu_errors import gpu_error

ASSERT = "CUDA error: device-side assert triggered"


def raised_in_the_package():
    class Points:
        @property
        def ndim(self):
            raise RuntimeError(ASSERT)

    try:
        encode_keypoints(Points(), None, 1, 1)
    except RuntimeError as error:
        return error


def test_a_failed_check_names_the_line_of_the_package():
    text = str(gpu_error(raised_in_the_package()))
    assert "the program noticed it in line" in text
    assert "of fgbench/layers/keypoint_maps.py" in text
    assert "CUDA_VISIBLE_DEVICES= and the same --profile" in text


def test_other_errors_are_bugs():
    assert gpu_error(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None
    assert gpu_error(MemoryError()) is None


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError(ASSERT), "fgbench: a check of values failed on the GPU"),
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB. GPU 0 has"),
            "not enough: Tried to allocate",
        ),
    ],
)
def test_the_program_ends_with_one_sentence(error, message, monkeypatch, capsys):
    def fail():
        raise error

    monkeypatch.setattr(sys.modules["fgbench.cli.app"], "app", fail)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert message in capsys.readouterr().err


def test_the_traceback_of_a_bug_is_kept(monkeypatch):
    def fail():
        raise RuntimeError("shapes")

    monkeypatch.setattr(sys.modules["fgbench.cli.app"], "app", fail)
    with pytest.raises(RuntimeError, match="shapes"):
        main()
