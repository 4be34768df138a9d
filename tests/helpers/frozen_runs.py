"""Small runs on a network with random weights in a weight file, whose maps are cached as those of real networks."""

from pathlib import Path
from typing import Any

import mini
import pytest
import timm
import torch
from safetensors.torch import save_file

from fgbench.runs.planning import plan
from fgbench.runs.run import Changes, Run

NETWORK = "timm/test_resnet:features"


def frozen_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    *,
    stages: dict[str, Any] | None = None,
    precision: str | None = None,
) -> Run:
    """Return a run that is trained only by the stages in `stages`; its cache is in `tmp_path`."""
    torch.manual_seed(0)
    (tmp_path / "weights").mkdir(parents=True, exist_ok=True)
    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "weights/test_resnet.safetensors")
    monkeypatch.setenv("FGBENCH_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr("fgbench.runs.streams.cache_folder", lambda: tmp_path / "cache")
    recipe = mini.recipe(name)
    *others, last = recipe.profiles["quick"]
    last = last.model_copy(update={"set": {**last.set, "stages": stages or {}}})
    recipe = recipe.model_copy(update={"profiles": {**recipe.profiles, "quick": (*others, last)}})
    (run,) = plan([recipe], "quick", [0], changes=Changes(backbone=NETWORK, precision=precision)).runs
    return run
