import pytest
from few_birds import few_birds


@pytest.fixture(scope="session")
def birds_data(tmp_path_factory):
    """Folder of data sets with a few birds of CUB."""
    return few_birds(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def _few_birds(birds_data, monkeypatch):
    monkeypatch.setenv("FGBENCH_DATA", str(birds_data))
