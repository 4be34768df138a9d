import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch
from local_files import served
from real_data import REAL

from fgbench.datasets import cub
from fgbench.datasets.index import Index
from fgbench.datasets.synthetic.birds import SyntheticBirds, generate

# Networks of a few channels lose more by waiting for threads than they gain, on a busy machine many times over.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"  # for programs that tests start
os.environ["COLUMNS"] = "140"  # lines and tables have one width, whatever starts the tests
SMALL = SyntheticBirds(classes=3, train_per_class=6, test_per_class=4, size=64)


@pytest.fixture(autouse=True)
def own_folders(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No test sees the user's cache, and only those marked `real` the user's data and weights."""
    real = request.node.get_closest_marker("real")
    for name in ("FGBENCH_REPRODUCTIONS", *(() if real else REAL)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def serve() -> Iterator[Callable[[Path], str]]:
    """Serves folders over HTTP for the length of a test; gives the address of each."""
    with ExitStack() as servers:
        yield lambda folder: servers.enter_context(served(folder))


@pytest.fixture(scope="session")
def birds_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp("data") / "birds", SMALL, workers=1)


@pytest.fixture
def birds(birds_folder: Path) -> Index:
    return cub.load(birds_folder, "birds")


@pytest.fixture(scope="module")
def any_values() -> Iterator[None]:
    """Accept records of values that are hard to write but that no outputs give."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fgbench.records.store.wrong_values", lambda record, arrays: [])
        yield
