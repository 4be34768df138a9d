"""A plan of runs, done on the nodes of a Ray cluster.

Each run is a task. What a node writes comes back as bytes, so that nodes and driver need share no folder, and only the
driver keeps records. A run whose node or worker dies is done again; one that fails by itself is not.
"""

import logging
import os
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fgbench.records.store import store_of
from fgbench.runs.executors.pool import Watcher
from fgbench.runs.executors.ray_retries import Rounds, alive
from fgbench.runs.executors.runner import Result
from fgbench.runs.planning import Plan
from fgbench.runs.training.distributed import processes
from fgbench.util.errors import FgbenchError

CONNECT_S = 10.0
"""How long an address may take to answer."""
PORTS = "ray://host:10001 from any machine; host:6379, or auto, on a node of the cluster"
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""What a client of HTTP/2, over which Ray talks, says first: its preface, and a frame of settings without any."""
SETTINGS = b"\x04"
"""The type of a server's first frame, in its fourth byte."""
QUIET = {
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",  # pages from the log of each node that dies
    "RAY_NUM_REDIS_GET_RETRIES": "3",  # a line each
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # a warning that a later Ray will hide GPUs otherwise
}
"""Settings that Ray reads when it is loaded, so that it does not talk to the user of fgbench."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Ray cluster, and what a run gets of it."""

    address: str = "auto"
    """`ray://host:10001` from any machine; `host:6379` or `auto` on one that is a node."""
    cpus: int | None = None
    """Cores of a run, which are its threads, too; None for 1 under `quick`, else 4."""
    gpus: float | None = None
    """GPUs of a run, or its share of one; None for one where the cluster has some and the profile is not `quick`."""
    retries: int = 3
    """How often a run is done again after its node or worker died."""


@contextmanager
def connected(cluster: Cluster) -> Iterator["Session"]:
    """A connection to a cluster, for the length of a `with`; what still runs at its end is stopped.

    Raises:
        FgbenchError: Ray is missing or of another version, or nothing answers.
    """
    if processes() > 1:
        raise FgbenchError("a run on a Ray cluster is one process: torchrun has nothing to start", "fgbench run …")
    _knock(cluster.address)
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise FgbenchError("ray is not installed here", "pip install 'fgbench[ray]'") from error
    try:
        with warnings.catch_warnings(action="ignore"):
            ray.init(cluster.address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        why = " ".join(str(error).split())
        raise FgbenchError(f"no connection to a Ray cluster at {cluster.address}: {why}", PORTS) from error
    try:
        yield Session(ray, cluster)
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Is anybody there? Ray itself would take minutes to say no."""
    if address == "auto":
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise FgbenchError(f"{address!r} is no address of a Ray cluster", PORTS)
    try:
        with socket.create_connection((host, int(port)), CONNECT_S) as line:
            line.sendall(HELLO)
            if not os.environ.get("RAY_USE_TLS") and line.recv(4)[3:] != SETTINGS:
                raise OSError("what is there is not Ray")
    except OSError as error:
        raise FgbenchError(f"no Ray cluster answers at {address}: {error}", "ray start --head") from error


class Session:
    """A connection to a cluster.

    Attributes:
        has_gpu: whether there are GPUs that runs may use.
    """

    def __init__(self, ray: Any, cluster: Cluster) -> None:
        self._ray, self._cluster = ray, cluster
        self.has_gpu = cluster.gpus != 0 and any("GPU" in node["Resources"] for node in alive(ray))
        # By value: a node that has no such module, or another, must be able to say so.
        for name in ("fgbench.runs.executors.remote", "fgbench.runs.executors.ray_retries"):
            ray.cloudpickle.register_pickle_by_value(sys.modules[name])

    def threads(self, profile: str) -> int:
        """Threads of a run."""
        return self._cluster.cpus or (1 if profile == "quick" else 4)

    def run(self, plan: Plan, folder: Path, watcher: Watcher) -> Result:
        """Do every run of a plan that has no record yet; see `fgbench.runs.executors.runner.run_plan`.

        Raises:
            FgbenchError: no node has what a run needs.
        """
        store = store_of(folder)
        todo = [run for run in plan.runs if not store.has(run.id)]
        watcher.expect(len(todo))
        failures = []
        if todo:
            gpus = (self._cluster.gpus or 1) if todo[0].device == "cuda" else 0
            failures = Rounds(self._ray, todo, store, watcher, gpus=gpus, retries=self._cluster.retries).go()
        return Result(len(todo) - len(failures), len(plan.runs) - len(todo), tuple(failures))
