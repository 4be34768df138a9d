import shutil

import pytest

from fgbench.papers.printed import reproductions_root


@pytest.fixture
def root(tmp_path):
    """The repository's papers, with recipes for CUB-200-2011 alone."""
    root = shutil.copytree(reproductions_root(), tmp_path / "reproductions")
    for path in root.glob("*/*.toml"):
        if path.stem not in {"paper", "cub"}:
            path.unlink()
    return root
