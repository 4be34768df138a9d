import errno
import io

import pytest
import torch

from fgbench.util.errors import FgbenchError
from fgbench.util.torch_files import load_torch, same_form, save_torch

VALUE = {"method": {"w": torch.arange(5000.0), "n": torch.tensor(3)}, "stage": 1, "curve": [{"loss": 0.5}]}


def same(value):
    assert value.keys() == VALUE.keys()
    return all(torch.equal(value["method"][name], tensor) for name, tensor in VALUE["method"].items())


def test_tensors_are_read_as_written(tmp_path):
    path = tmp_path / "a.pt"
    assert load_torch(path) is None
    save_torch(path, VALUE)
    assert same(load_torch(path))


def test_a_flipped_bit_is_never_used(tmp_path, capsys):
    """torch itself returns other values for most of these files."""
    path = tmp_path / "a.pt"
    save_torch(path, VALUE)
    content = path.read_bytes()
    tried, silent = 0, 0
    for place in range(0, len(content), len(content) // 150):
        damaged = bytearray(content)
        damaged[place] ^= 16
        path.write_bytes(damaged)
        value = load_torch(path)
        assert value is None
        tried += 1
        try:
            silent += not torch.equal(torch.load(io.BytesIO(damaged))["method"]["w"], VALUE["method"]["w"])
        except Exception:  # noqa: BLE001 - damaged bytes can raise any error
            continue
    assert tried > silent > 50
    assert len(capsys.readouterr().err.splitlines()) == tried


def test_a_file_of_another_run_is_set_aside(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    save_torch(tmp_path / "one" / "a.pt", VALUE)
    (tmp_path / "one" / "a.pt").rename(tmp_path / "two" / "a.pt")
    assert load_torch(tmp_path / "two" / "a.pt") is None
    assert (tmp_path / "two" / "a.pt.damaged").is_file()


def test_a_full_disk_is_an_error_in_a_sentence(tmp_path, monkeypatch):
    """torch raises a RuntimeError that hides the reason."""

    class Full(io.FileIO):
        def write(self, content):
            raise OSError(errno.ENOSPC, "No space left on device")

    save_torch(tmp_path / "a.pt", VALUE)
    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.open", lambda path, mode: Full(path, "w"))
        with pytest.raises(FgbenchError, match=r"disk of .* is full"):
            save_torch(tmp_path / "a.pt", {"method": {}})
    assert same(load_torch(tmp_path / "a.pt"))
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


def test_states_of_another_form_are_told_apart():
    state = {"w": torch.ones(2, 3), "n": torch.tensor(3)}
    assert same_form(state, {"w": torch.zeros(2, 3), "n": torch.tensor(1)})
    for other in (
        {"w": torch.zeros(2, 3)},
        {"w": torch.zeros(3, 2), "n": torch.tensor(1)},
        {"w": torch.zeros(2, 3, dtype=torch.float64), "n": torch.tensor(1)},
        {"v": torch.zeros(2, 3), "n": torch.tensor(1)},
    ):
        assert not same_form(state, other)
    assert not same_form(state | {"n": 3}, state)


def test_the_extra_state_of_a_fitted_module_is_of_any_form():
    before, after = {"w": torch.ones(2), "_extra_state": {}}, {"w": torch.ones(2), "_extra_state": {"m": torch.ones(3)}}
    assert same_form(after, before)
    assert not same_form({"w": torch.ones(2)}, before)
