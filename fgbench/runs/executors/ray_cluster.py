"""Execution of a plan on the nodes of a Ray cluster.

Each run is a Ray task. A node returns its files as bytes, so that nodes and driver need no shared folder. Only the
driver keeps records. A run is repeated if its node or worker dies, but not if the run itself fails.
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
from fgbench.runs.executors.ray_retries import Submission, alive
from fgbench.runs.executors.runner import Result
from fgbench.runs.plan_graph import is_finished, with_parents
from fgbench.runs.planning import Plan
from fgbench.runs.training.distributed import processes
from fgbench.util.errors import FgbenchError

CONNECT_S = 10.0
"""Maximum seconds to wait for an answer from an address."""
PORTS = "ray://host:10001 from any machine; host:6379, or auto, on a node of the cluster"
"""Hint for a wrong address."""
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""First bytes of an HTTP/2 client (Ray uses HTTP/2): the connection preface and an empty settings frame."""
SETTINGS = b"\x04"
"""Type of the first frame that an HTTP/2 server sends; it is the fourth byte of the frame."""
QUIET = {
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",  # long logs of each node that dies
    "RAY_NUM_REDIS_GET_RETRIES": "3",  # one line for each retry
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # a warning about GPUs in later versions of Ray
}
"""Settings that Ray reads when it is imported; they suppress its messages."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Ray cluster, and the resources of a run."""

    address: str = "auto"
    """`ray://host:10001` from any machine; `host:6379` or `auto` on a node."""
    cpus: int | None = None
    """Number of cores that a run reserves; None for as many as it has threads: 1 under `quick`, else 4."""
    gpus: float | None = None
    """GPUs of a run, or its share of one; None for one GPU if the cluster has some and the profile is not `quick`."""
    retries: int = 3
    """Maximum number of repetitions of a run after its node or worker died."""


@contextmanager
def connected(cluster: Cluster) -> Iterator["ClusterSession"]:
    """Connect to a cluster for the duration of a `with` block; runs that are unfinished at its end are stopped.

    Args:
        cluster: address of the cluster, and resources of a run.

    Yields:
        The connection.

    Raises:
        FgbenchError: Ray is not installed or has another version, or no cluster answers.
    """
    if processes() > 1:
        raise FgbenchError("a run on a Ray cluster is one process: do not start it with torchrun", "fgbench run …")
    _check_address(cluster.address)
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
        yield ClusterSession(ray, cluster)
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Check that a cluster answers. Ray itself waits for minutes."""
    if address == "auto":
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise FgbenchError(f"{address!r} is no address of a Ray cluster", PORTS)
    try:
        with socket.create_connection((host, int(port)), CONNECT_S) as line:
            line.sendall(HELLO)
            if not os.environ.get("RAY_USE_TLS") and line.recv(4)[3:] != SETTINGS:
                raise OSError("the server is not Ray")
    except OSError as error:
        raise FgbenchError(f"no Ray cluster answers at {address}: {error}", "ray start --head") from error


class ClusterSession:
    """A connection to a cluster.

    Args:
        ray: the module ray, connected.
        cluster: the cluster.

    Attributes:
        has_gpu: True if the cluster has GPUs that runs may use.
    """

    def __init__(self, ray: Any, cluster: Cluster) -> None:
        self._ray, self._cluster = ray, cluster
        self.has_gpu = cluster.gpus != 0 and any("GPU" in node["Resources"] for node in alive(ray))
        # By value, because a node may lack these modules or have another version of them.
        for name in ("fgbench.runs.executors.remote", "fgbench.runs.executors.ray_retries"):
            ray.cloudpickle.register_pickle_by_value(sys.modules[name])

    def run(self, plan: Plan, folder: Path, watcher: Watcher) -> Result:
        """Execute every run of a plan that has no record yet; see `fgbench.runs.executors.runner.run_plan`.

        Raises:
            FgbenchError: no node has the resources of a run.
        """
        store, plan = store_of(folder), with_parents(plan, folder)
        todo = [run for run in plan.runs if not is_finished(folder, run)]
        watcher.expect(len(todo))
        failures = []
        if todo:
            cpus = self._cluster.cpus or todo[0].threads
            gpus = (self._cluster.gpus or 1) if todo[0].device == "cuda" else 0
            submission = Submission(
                self._ray, todo, store, watcher, cpus=cpus, gpus=gpus, retries=self._cluster.retries
            )
            failures = submission.execute()
        return Result(len(todo) - len(failures), len(plan.runs) - len(todo), tuple(failures))
