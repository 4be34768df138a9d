"""Runs on Ray nodes on this machine that share no folder. One node is killed."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import mini
import numpy as np
import psutil
import pytest

from fgbench.datasets import find
from fgbench.records.kept_networks import network_path
from fgbench.records.store import Store
from fgbench.runs.executors.ray_cluster import Cluster, connected
from fgbench.runs.executors.remote import request_for, serve
from fgbench.runs.executors.runner import Result
from fgbench.runs.planning import Plan
from fgbench.runs.run import Changes

ray = pytest.importorskip("ray", reason="needs ray: pip install 'fgbench[ray]'")
cluster_utils = pytest.importorskip("ray.cluster_utils")

PLUGIN = {
    "entry_points.txt": "[fgbench.datasets]\nmini_birds = mini:DATASET\n",
    "METADATA": "Metadata-Version: 2.1\nName: mini-birds\nVersion: 1\n",
}
"""Files of an installed package that registers the data set mini_birds."""
NODE = {"num_cpus": 1, "object_store_memory": 80_000_000}


class Notes:
    """A watcher that keeps progress, messages and ends."""

    def __init__(self) -> None:
        self.steps, self.notes, self.ends = [], [], []

    def expect(self, tasks):
        self.expected = tasks

    def progress(self, name, what, share):
        self.steps.append((name, what, share))

    def note(self, text):
        self.notes.append(text)

    def finished(self, name, failure, wall_s):
        self.ends.append((name, failure))


class Nodes:
    """A cluster whose first node is never killed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.nodes = folder, []
        info = folder / "plugin/mini_birds-1.dist-info"
        info.mkdir(parents=True)
        for name, text in PLUGIN.items():
            (info / name).write_text(text)
        self._logs = os.environ["RAY_TMPDIR"]
        self._cluster = cluster_utils.Cluster()
        self.first = self.add("first", include_dashboard=False, temp_dir=self._logs)
        self.address = self._cluster.address

    def add(self, name: str, *, birds: bool = True, **options: object) -> object:
        """Add a node whose separate cache contains the images. Without `birds`, mini_birds is not registered there."""
        path = [str(Path(mini.__file__).parent), str(self.folder / "plugin")] if birds else []
        path += os.environ.get("PYTHONPATH", "").split(os.pathsep)
        shutil.copytree(find("mini_birds").find().parent, self.cache(name) / "data")
        env = {"FGBENCH_CACHE": str(self.cache(name)), "PYTHONPATH": os.pathsep.join(path)}
        return self._cluster.add_node(**NODE, env_vars=env, **options)

    def remove(self, node: object) -> None:
        self._cluster.remove_node(node)

    def cache(self, name: str) -> Path:
        return self.folder / name

    def started(self, name: str) -> set[str]:
        """Return the ids of runs that were started on a node."""
        return {lock.stem for lock in self.cache(name).glob("cluster/work/*.lock")}

    def held(self, name: str) -> set[str]:
        """Return the ids of runs that were started on a node and have not ended."""
        return {journal.parent.name for journal in self.cache(name).glob("cluster/work/*/journal.json")}

    def close(self) -> None:
        ray.shutdown()
        self._cluster.shutdown()
        shutil.rmtree(self._logs, ignore_errors=True)


def processes_of(node) -> list[psutil.Process]:
    """Return the processes of a node: its raylet, its workers, and their child processes."""
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    return [raylet, *raylet.children(recursive=True)]


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FGBENCH_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "disabled")  # otherwise Ray writes a token to the home folder
        patch.setenv("RAY_memory_monitor_refresh_ms", "0")  # other programs may use the memory of this machine
        logs = Path(tempfile.mkdtemp(prefix="fgbench", dir="/tmp"))  # sockets need a short path
        (logs / "ray").mkdir()  # the cluster writes its address to this folder, but does not create it
        patch.setenv("RAY_TMPDIR", str(logs))
        started = Nodes(tmp_path_factory.mktemp("nodes"))
        try:
            yield started
        finally:
            started.close()


def wait_for(condition: Callable[[], object]) -> bool:
    """Wait up to a minute for a condition; return True if it holds."""
    for _ in range(6000):
        if condition():
            return True
        time.sleep(0.01)
    return False


def occupy(node, here: Path, until: Path) -> None:
    """Occupy the only core of a node until the file `until` exists."""

    def wait() -> None:  # sent by value: nodes cannot import this file
        here.touch()
        for _ in range(6000):
            if until.exists():
                break
            time.sleep(0.01)

    ray.remote(num_cpus=1)(wait).options(label_selector={"ray.io/node-id": node.node_id}).remote()
    assert wait_for(here.exists)


def test_a_node_without_fgbench_refuses(nodes):
    with connected(Cluster(nodes.address)):
        sent = ray.cloudpickle.dumps((serve, request_for(mini.run_of("fv_sift"))))
    code = (
        "import sys, ray; sys.modules['fgbench'] = None\n"
        "serve, request = ray.cloudpickle.loads(sys.stdin.buffer.read())\n"
        "print(*serve(**request, report=print))"
    )
    done = subprocess.run([sys.executable, "-c", code], input=sent, capture_output=True, check=True)
    assert done.stdout.decode().startswith("refused the code of fgbench is missing, not ")


def test_only_the_unfinished_run_of_a_killed_node_is_repeated(nodes, tmp_path, monkeypatch):
    monkeypatch.setenv("FGBENCH_COMMAND", "fgbench run them")
    runs = [mini.run_of("fc_cnn_d"), mini.run_of("fc_cnn_d", seed=1), mini.run_of("fv_sift")]
    ids = {run.id: run.title for run in runs}
    second, notes = nodes.add("second"), Notes()
    cluster_store, has_started = Store(tmp_path / "cluster/records"), tmp_path / "has-started"

    def done_and_held() -> bool:
        started, held = nodes.started("second"), nodes.held("second")
        return len(started) == 2 and len(held) == 1 and all(map(cluster_store.has, started - held))

    def kill() -> None:
        """Kill the second node during its second run. The first node is occupied until the first run has started."""
        wait_for(lambda: nodes.held("second"))
        has_started.touch()
        wait_for(done_and_held)
        for process in processes_of(second):
            process.kill()

    with connected(Cluster(nodes.address)) as session:
        occupy(nodes.first, tmp_path / "here", has_started)
        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        result = session.run(Plan(tuple(runs), {}), tmp_path / "cluster", notes)
        again = session.run(Plan(tuple(runs), {}), tmp_path / "cluster", Notes())
    assert result == Result(done=3, kept=0, failures=())
    assert again == Result(done=0, kept=3, failures=())

    (held,) = nodes.held("second")
    assert nodes.started("first") | nodes.started("second") == set(ids)
    assert nodes.started("first") & nodes.started("second") == {held}
    assert len(nodes.started("second")) == 2
    (note,) = notes.notes
    assert note.startswith(f"{ids[held]}: ")
    assert sorted(notes.ends) == sorted((title, None) for title in ids.values())

    assert sorted(p.name for p in cluster_store.folder.iterdir()) == sorted(
        f"{i}.{kind}" for i in ids for kind in ("json", "npz")
    )
    for run in runs:
        record, local = cluster_store.read(run.id), mini.do(run, tmp_path / "local")
        assert cluster_store.verify(record) == []
        assert record.provenance["command"] == "fgbench run them"
        for part in ("values", "settings", "deviations", "weights", "identity"):
            assert getattr(record, part) == getattr(local, part)
        arrays, local_arrays = cluster_store.outputs(record), Store(tmp_path / "local/records").outputs(local)
        assert arrays.keys() == local_arrays.keys()
        assert all(np.array_equal(arrays[name], local_arrays[name]) for name in local_arrays)


def test_two_nodes_train_a_shared_network_once_although_its_worker_is_killed(nodes, tmp_path):
    places = {"first": nodes.first, "third": nodes.add("third")}
    runs = [
        mini.run_of("fv_cnn_d", starts=True, changes=Changes(set_values=(f"options.words={words}",)))
        for words in (8, 4)
    ]
    parent, notes = runs[0].parent, Notes()

    def kill() -> None:
        """Kill the worker of the run before, which has a child process, once."""
        wait_for(lambda: any(parent.id in nodes.held(name) for name in places))
        (node,) = (places[name] for name in places if parent.id in nodes.held(name))
        for worker in processes_of(node)[0].children():
            if worker.children():
                worker.kill()

    with connected(Cluster(nodes.address)) as session:
        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        result = session.run(Plan(tuple(runs), {}), tmp_path / "cluster", notes)
    nodes.remove(places["third"])
    assert result == Result(done=3, kept=0, failures=())
    (note,) = notes.notes
    assert note.startswith(f"{parent.title}: ")
    assert "retry 1 of 3" in note
    logs = [path.read_text() for name in places for path in nodes.cache(name).glob(f"cluster/logs/{parent.id}.log")]
    assert sum(text.count("finished") for text in logs) == 1
    # Each run ends on a node; the network is in the results folder, and in no folder of a node.
    assert all(sum(run.id in nodes.started(name) for name in places) == 1 for run in runs)
    assert not [path for name in places for path in nodes.cache(name).glob("cluster/**/*.safetensors")]
    store = Store(tmp_path / "cluster/records")
    sha256 = store.read(parent.id).network_sha256
    assert network_path(tmp_path / "cluster", sha256).is_file()
    mini.do(replace(parent, keep_network=True), tmp_path / "local")
    for run in runs:
        record, local = store.read(run.id), mini.do(run, tmp_path / "local")
        assert record.starts_from.network_sha256 == local.starts_from.network_sha256 == sha256
        arrays, local_arrays = store.outputs(record), Store(tmp_path / "local/records").outputs(local)
        assert all(np.array_equal(arrays[name], local_arrays[name]) for name in local_arrays)


def test_a_refused_run_moves_to_another_node_or_fails(nodes, tmp_path):
    nodes.add("strange", birds=False)
    fine = mini.run_of("fv_sift", changes=Changes(classes=2))
    moved = replace(fine, protocol=replace(fine.protocol, images="0" * 16))
    notes = Notes()
    with connected(Cluster(nodes.address)) as session:
        result = session.run(Plan((fine, moved), {}), tmp_path, notes)
        assert (result.done, result.kept) == (1, 0)
        (failure,) = result.failures
        assert failure.message.startswith(f"run {moved.id}: no node can execute it")
        assert f"mini_birds has other images: their hash is {fine.protocol.images}, not {'0' * 16}" in failure.message
        assert "no dataset named 'mini_birds'" in failure.message
        assert {record.run_id for record in Store(tmp_path / "records").records()} == {fine.id}
        assert len(notes.notes) == len(set(notes.notes)) == 2

        class Interrupting(Notes):
            def progress(self, name, what, share):
                raise KeyboardInterrupt

        run = mini.run_of("fc_cnn_d", seed=2)
        with pytest.raises(KeyboardInterrupt):
            session.run(Plan((run,), {}), tmp_path, Interrupting())
        assert wait_for(lambda: ray.available_resources().get("CPU") == 2)
        assert all(run.id not in nodes.started(name) or run.id in nodes.held(name) for name in ("first", "strange"))
        assert not Store(tmp_path / "records").has(run.id)
