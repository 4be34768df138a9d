"""Runs that start from the network of another run: their order, their ids, and what happens to a lost network."""

from dataclasses import replace
from pathlib import Path

import mini
import numpy as np
import pytest
import torch
from pool_tasks import Notes
from safetensors.torch import load_file, save_file

from fgbench.records.kept_networks import network_path
from fgbench.records.store import Store, store_of
from fgbench.runs.executors import runner
from fgbench.runs.executors.runner import Result, run_plan
from fgbench.runs.plan_graph import with_parents
from fgbench.runs.planning import Plan, plan
from fgbench.runs.run import Changes
from fgbench.runs.starting_network import START, STARTED, find_network, take_over
from fgbench.util.errors import FgbenchError
from fgbench.util.hashing import hash_file


@pytest.fixture(autouse=True)
def mini_in_pools(monkeypatch):
    """Let the processes of pools know the mini birds."""
    monkeypatch.setattr(runner, "do_run", mini.do_task)


@pytest.fixture(scope="module")
def child():
    return mini.run_of("fv_cnn_d", starts=True)


@pytest.fixture(scope="module")
def finished(child, tmp_path_factory):
    """Results folder with the run and the run that it starts from."""
    folder = tmp_path_factory.mktemp("finished")
    for run in with_parents(Plan((child,), {}), folder).runs:
        mini.do(run, folder)
    return folder


def copied(folder: Path, to: Path, *runs) -> Path:
    """Return a copy of a results folder with the records of some runs, and with all networks."""
    for run in runs:
        files = {path.name: path.read_bytes() for path in (folder / "records").glob(f"{run.id}[.-]*")}
        Store(to / "records").add(run.id, files)
    (to / "networks").mkdir(parents=True, exist_ok=True)
    for path in (folder / "networks").iterdir():
        (to / "networks" / path.name).write_bytes(path.read_bytes())
    return to


def titles(runs):
    return [run.title for run in runs]


def ended(notes):
    """Return the titles of the runs that ended, in order."""
    return [name for name, _ in notes.ends if not name.startswith("network ")]


def test_a_shared_training_gives_the_same_values_and_trains_nothing_itself(child, finished, tmp_path):
    store, alone = store_of(finished), mini.do(mini.run_of("fv_cnn_d"), tmp_path)
    record = store.read(child.id)
    assert record.curve == []
    assert len(alone.curve) == len(store.read(child.parent.id).curve) == mini.STAGE.epochs
    shared, own = store.outputs(record), Store(tmp_path / "records").outputs(alone)
    assert np.array_equal(shared["scores"], own["scores"])
    assert store.verify(record) == []
    assert record.starts_from.model_dump() == {
        "recipe": "bcnn/fc_cnn_d@cub",
        "run_id": child.parent.id,
        "network_sha256": store.read(child.parent.id).network_sha256,
    }
    assert "stages.finetune.epochs" in {deviation.field for deviation in record.deviations}


def test_a_run_comes_after_the_one_that_it_starts_from_which_is_added(child, tmp_path):
    other = mini.run_of("fv_cnn_d", seed=1, starts=True)
    planned = with_parents(Plan((child, other), {}), tmp_path)
    assert titles(planned.runs) == titles([child.parent, child, other.parent, other])
    assert [run.seed for run in planned.runs] == [0, 0, 1, 1]
    assert [(run.keep_network, run.network_needed) for run in planned.runs] == [(True, True), (False, False)] * 2
    assert with_parents(planned, tmp_path) == planned
    requested = with_parents(Plan((child, child.parent), {}), tmp_path)
    assert titles(requested.runs) == titles([child.parent, child])
    assert requested.runs[0].network_needed


def test_a_kept_network_is_used_and_a_lost_one_is_trained_again(child, finished, tmp_path):
    folder = copied(finished, tmp_path, child.parent)
    (network,) = folder.glob("networks/*.safetensors")
    assert titles(with_parents(Plan((child,), {}), folder).runs) == titles([child])
    content = network.read_bytes()
    for damage in (lambda: network.write_bytes(content[:-1] + b"?"), network.unlink):
        damage()
        assert titles(with_parents(Plan((child,), {}), folder).runs) == titles([child.parent, child])
        with pytest.raises(FgbenchError, match="run the same command again"):
            find_network(folder, child.parent)
    notes = Notes()
    assert run_plan(Plan((child,), {}), folder, notes) == Result(2, 0, ())
    assert ended(notes) == titles([child.parent, child])
    assert network.read_bytes() == content
    assert store_of(folder).read(child.id).values == store_of(finished).read(child.id).values
    # A finished run does not need the network again.
    network.unlink()
    assert titles(with_parents(Plan((child,), {}), folder).runs) == titles([child])


@pytest.mark.parametrize("requests_both", [False, True])
def test_a_lost_network_in_the_middle_of_a_chain_needs_the_one_before_it(requests_both, child, finished, tmp_path):
    """The middle run has a record without its network, and the first run has none."""
    last = replace(child, seed=child.seed + 1, parent=child)
    folder = copied(finished, tmp_path, child)
    requested = (child, last) if requests_both else (last,)
    whole = with_parents(Plan(requested, {}), folder).runs
    assert [run.id for run in whole] == [child.parent.id, child.id, last.id]
    assert [run.network_needed for run in whole] == [True, True, False]


def test_a_network_that_was_not_kept_is_trained_again(child, finished, tmp_path):
    mini.do(child.parent, tmp_path)
    assert store_of(tmp_path).read(child.parent.id).network_sha256 == ""
    assert run_plan(Plan((child,), {}), tmp_path, Notes(), jobs=2) == Result(2, 0, ())
    assert store_of(tmp_path).read(child.parent.id).network_sha256
    assert store_of(tmp_path).read(child.id).values == store_of(finished).read(child.id).values


def test_the_id_contains_that_of_the_run_before(child):
    assert child.id_content()["starts_from"] == child.parent.id
    other = replace(child.parent, settings=child.parent.settings.model_copy(update={"mirror": False}))
    assert replace(child, parent=other).id != child.id
    assert replace(child, parent=replace(child.parent, keep_network=True)).id == child.id


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        (Changes(size=32), "size"),
        (Changes(classes=3), "classes"),
        (Changes(epochs=1), "epochs"),
        (Changes(backbone="tiny_m:conv"), "backbone"),
        (Changes(shuffle_labels=True), "shuffle_labels"),
        (Changes(set_values=("stages.finetune.lr=0.1",)), "set_values"),
        (Changes(set_values=("svm.c=2",)), None),
        (Changes(set_values=("options.words=4",)), None),
    ],
)
def test_changes_of_the_user_are_those_of_the_run_before_as_far_as_they_can_change_its_network(changes, same, child):
    changed = mini.run_of("fv_cnn_d", starts=True, changes=changes)
    assert changed.id != child.id
    assert (changed.parent.id == child.parent.id) == (same is None)
    assert changed.parent.changes == (changes if same else Changes())


def test_another_network_starts_the_unfinished_work_again(child, finished, tmp_path):
    folder = copied(finished, tmp_path, child.parent)
    work = folder / "work" / child.id
    work.mkdir(parents=True)
    (work / STARTED).write_text("0" * 64)
    (work / "descriptors.npy").write_bytes(b"of another network")
    record = mini.do(child, folder)
    assert record.values == store_of(finished).read(child.id).values


def test_a_network_that_does_not_fit_is_an_error_with_the_names(child, finished, tmp_path):
    (network,) = finished.glob("networks/*.safetensors")
    tensors = load_file(network)
    first, second = [name for name in tensors if name.startswith("backbone.")][:2]
    tensors[first] = torch.zeros(2, 2)
    del tensors[second]
    work = tmp_path / "work" / child.id
    work.mkdir(parents=True)
    save_file(tensors, work / START)
    with pytest.raises(FgbenchError) as caught:
        mini.do(child, tmp_path)
    assert f"cannot start from the network of bcnn/fc_cnn_d@cub: 1 tensor missing: {second}" in str(caught.value)
    assert f"1 tensor of another shape: {first} (2, 2)" in str(caught.value)


def test_only_the_trained_groups_are_taken_over():
    made = mini.run_of("fc_cnn_d")
    from fgbench.runs.built_method import build_method
    from fgbench.runs.experiment import experiment
    from fgbench.runs.planning import planned_index

    trial = experiment(planned_index(made), made.protocol, made.settings, made.seed)
    method = build_method(made, trial)
    before = {name: value.clone() for name, value in method.state_dict().items()}
    take_over(method, {name: value + 1 for name, value in before.items()}, {"backbone", "recurrence"})
    for name, value in method.state_dict().items():
        assert torch.equal(value, before[name] + (1 if name.startswith("backbone.") else 0)), name
    with pytest.raises(FgbenchError, match="none of the groups recurrence"):
        take_over(method, before, {"recurrence"})
    with pytest.raises(FgbenchError, match=r"missing: classifier.weight, classifier.bias"):
        take_over(method, {}, {"classifier"})


def test_a_failed_run_ends_those_that_start_from_it_and_no_others(child, tmp_path):
    broken = replace(child.parent, protocol=replace(child.parent.protocol, images="0" * 16))
    waiting, fine = replace(child, parent=broken), mini.run_of("fv_sift")
    for jobs in (1, 2):
        folder = tmp_path / str(jobs)
        result = run_plan(Plan((waiting, fine), {}), folder, Notes(), jobs=jobs)
        assert (result.done, result.kept) == (1, 0)
        failed, not_run = result.failures
        assert (failed.name, not_run.name) == (broken.title, waiting.title)
        assert "mini_birds has changed" in failed.message
        assert not_run.message == f"not run, because {broken.title} failed"
        assert store_of(folder).run_ids() == [fine.id]


def test_two_jobs_train_a_network_once(child, tmp_path):
    again = mini.run_of("fv_cnn_d", starts=True, changes=Changes(set_values=("options.words=4",)))
    assert again.parent.id == child.parent.id
    notes = Notes()
    assert run_plan(Plan((child, again), {}), tmp_path, notes, jobs=2) == Result(3, 0, ())
    assert ended(notes)[0] == child.parent.title
    logs = [path.read_text() for path in (tmp_path / "logs").glob("*.log")]
    assert sum("training, stage finetune" in text for text in logs) == 1
    hashes = {store_of(tmp_path).read(run.id).starts_from.network_sha256 for run in (child, again)}
    (network,) = (tmp_path / "networks").glob("*.safetensors")
    assert hashes == {hash_file(network)}
    assert network == network_path(tmp_path, hashes.pop())


def test_a_missing_profile_of_the_run_before_blocks_the_recipe():
    recipe = mini.recipe("fv_cnn_d", starts=True)
    alone = recipe.start.model_copy(update={"profiles": {}})
    planned = plan([recipe.model_copy(update={"start": alone})], "quick", [0])
    assert planned.runs == ()
    assert "bcnn/fc_cnn_d@cub does not define the profile quick" in planned.blocked[recipe.key].reason


def test_nothing_is_shared_under_a_profile_that_trains_nothing():
    recipe = mini.recipe("fv_cnn_d", starts=True)
    without = {
        "quick": (*recipe.profiles["quick"], recipe.profiles["quick"][-1].model_copy(update={"set": {"stages": {}}}))
    }
    both = recipe.model_copy(
        update={"profiles": without, "start": recipe.start.model_copy(update={"profiles": without})}
    )
    (run,) = plan([both], "quick", [0]).runs
    assert run.parent is None


def test_a_run_that_is_trained_again_leaves_no_network_that_nothing_names(child, finished, tmp_path):
    """The old network of its record is another one, as after a training on a GPU."""
    folder = copied(finished, tmp_path, child.parent)
    store, old = store_of(folder), network_path(folder, "0" * 64)
    record = store.read(child.parent.id)
    fields = {name: value for name, value in record.model_dump(mode="json").items() if name != "seal"}
    store.write({**fields, "network_sha256": "0" * 64}, store.outputs(record))
    old.write_bytes(b"damaged")
    assert run_plan(Plan((child,), {}), folder, Notes()) == Result(2, 0, ())
    assert not old.exists()
    assert store.read(child.parent.id).network_sha256 == record.network_sha256
