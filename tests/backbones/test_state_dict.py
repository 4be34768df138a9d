import random
from pathlib import Path

import pytest
import torch

from fgbench.backbones.state_dict import read_state
from fgbench.util.errors import FgbenchError

STATE = {"weight": torch.arange(12.0).reshape(3, 4), "bias": torch.arange(3.0), "count": torch.tensor(5)}


def same(state: dict[str, torch.Tensor]) -> bool:
    return state.keys() == STATE.keys() and all(torch.equal(state[name], STATE[name]) for name in STATE)


def test_every_flipped_bit_of_a_pth_file_is_an_error_or_changes_nothing(tmp_path: Path) -> None:
    path, rng = tmp_path / "net.pth", random.Random(0)
    torch.save(STATE, path)
    whole, errors = path.read_bytes(), 0
    assert same(read_state(path))
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        try:
            assert same(read_state(path))
        except FgbenchError as error:
            errors += 1
            assert str(path) in str(error)  # noqa: PT017
    assert errors > 100


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("verified", [False, True])
def test_damaged_files_of_the_old_format_end_in_values_or_an_error(tmp_path: Path, verified: bool) -> None:
    path, rng = tmp_path / "net.pt", random.Random(0)
    torch.save(STATE, path, _use_new_zipfile_serialization=False)
    whole, errors = path.read_bytes(), 0
    for _ in range(150):  # the format has no checksum
        damaged = bytearray(whole)
        damaged[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        try:
            read_state(path, verified=verified)
        except FgbenchError as error:
            errors += 1
            assert len(str(error).splitlines()) <= 2  # noqa: PT017
    assert errors > 30
