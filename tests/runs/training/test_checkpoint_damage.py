import errno

import pytest
import torch
from small_trainings import Stop, bcnn, data, same, stage, values

from fgbench.runs.training import loop
from fgbench.runs.training.distributed import Engine
from fgbench.runs.training.loop import train
from fgbench.util.errors import FgbenchError
from fgbench.util.torch_files import load_torch, save_torch

STAGES = [("head", stage(train=("classifier",), augment=False)), ("all", stage(step=2, epochs=2))]
LATER = ("fitted.pt", "descriptors.npy", "descriptors.json", "test-scores.npy", "features-1.npy")
KEPT = ("journal.json", "features-0.npy", "notes")


@pytest.fixture(autouse=True)
def a_checkpoint_after_each_epoch(monkeypatch):
    monkeypatch.setattr(loop, "SAVING_SHARE", 1e9)


def trained(folder, **options):
    method = bcnn()
    curve = train(method, data(), STAGES, seed=0, engine=Engine(), work=folder, **options)
    return values(method), [(point.stage, point.epoch, point.loss) for point in curve]


def interrupted(folder):
    folder.mkdir()

    def stop(name, done, total):
        if (name, done) == ("all", 2):
            raise Stop

    with pytest.raises(Stop):
        trained(folder, progress=stop)
    for name in (*LATER, *KEPT):
        (folder / name).touch()
    return folder / "checkpoint.pt"


def check_equal(one, two):
    assert same(one[0], two[0])
    assert one[1] == two[1]


@pytest.mark.parametrize("damage", [
    lambda path: path.write_bytes(path.read_bytes()[:-20]),
    lambda path: path.write_bytes(path.read_bytes().replace(b"\x3f", b"\x3e", 1)),
    lambda path: save_torch(path, load_torch(path) | {"method": torch.nn.Linear(2, 2).state_dict()}),
    lambda path: torch.save({"stage": 1}, path),
])  # fmt: skip
def test_a_damaged_checkpoint_and_what_was_computed_with_it_are_not_used(tmp_path, damage, capsys):
    (tmp_path / "whole").mkdir()
    whole = trained(tmp_path / "whole")
    checkpoint = interrupted(tmp_path / "parts")
    damage(checkpoint)
    check_equal(trained(tmp_path / "parts"), whole)
    assert f"{checkpoint} is damaged" in capsys.readouterr().err
    names = {path.name for path in (tmp_path / "parts").iterdir()}
    assert not names & set(LATER)
    assert names >= {"journal.json", "notes", "checkpoint.pt", "checkpoint.pt.damaged"}


def test_an_intact_checkpoint_keeps_what_was_computed_with_it(tmp_path):
    interrupted(tmp_path / "parts")
    trained(tmp_path / "parts")
    assert {path.name for path in (tmp_path / "parts").iterdir()} >= {*LATER, *KEPT}


def test_training_starts_again_if_a_file_of_an_epoch_is_lost(tmp_path, capsys):
    (tmp_path / "whole").mkdir()
    whole = trained(tmp_path / "whole")
    interrupted(tmp_path / "parts")
    asked, seen = [], []

    def is_kept(name, settings, epoch):
        asked.append((name, settings.step, epoch))
        return epoch < 2

    again = trained(tmp_path / "parts", is_kept=is_kept, after_epoch=lambda name, _, epoch: seen.append((name, epoch)))
    check_equal(again, whole)
    assert asked == [("head", 1, 1), ("head", 1, 2)]
    assert seen[0] == ("head", 1)
    assert "the predictions after epoch 2 of stage 'head' are lost" in capsys.readouterr().err


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    checkpoint = interrupted(tmp_path / "parts")
    before = checkpoint.read_bytes()

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(FgbenchError, match=r"the disk of .* is full"):
            trained(tmp_path / "parts")
    assert checkpoint.read_bytes() == before
    (tmp_path / "whole").mkdir()
    check_equal(trained(tmp_path / "parts"), trained(tmp_path / "whole"))
