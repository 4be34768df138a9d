"""The logger of the guide is installed and used, with a stand-in for the package of Weights & Biases."""

import json
import shutil
from pathlib import Path

from documents import Shell, lines, page, write_files

from fgbench.datasets import datasets
from fgbench.records.store import Store
from fgbench.util.files import cache_folder

GUIDE = page("docs/guides/loggers.md")
STAND_IN = """
import json

class Page:
    def __init__(self, **options):
        self.path, self.lines = options.pop("dir") / "page.jsonl", [options]

    def log(self, values, step):
        self.lines.append([step, values])

    def finish(self):
        self.path.write_text("\\n".join(map(json.dumps, self.lines)))

init = Page
"""


def test_a_logger_of_another_package_receives_the_training(tmp_path, birds_folder, monkeypatch):
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "cache"))
    shutil.copytree(birds_folder, cache_folder() / "data" / datasets["synthetic_birds"].folder)
    assert write_files(GUIDE, tmp_path) == ["my_loggers/pyproject.toml", "my_loggers/src/wandb_logger.py"]
    shell = Shell(tmp_path, FGBENCH_CACHE=str(tmp_path / "cache"))
    install, log = lines(GUIDE)[-2:]
    shell(install)
    Path(shell.site / "wandb.py").write_text(STAND_IN)
    shell(f"{log} --size 64 --epochs 2 --log-every 1")
    (record,) = Store(tmp_path / "runs/records").records()
    options, *points = map(json.loads, (tmp_path / "runs/loggers/wandb/page.jsonl").read_text().splitlines())
    assert options["id"] == f"bcnn_bcnn_mm@cub-seed0-{record.run_id}"
    assert options["config"]["stages"]["finetune"]["epochs"] == 2
    losses = {name: value for _, values in points for name, value in values.items() if name.endswith("epoch_loss")}
    assert losses == {
        f"{stage}/epoch_loss": [point.loss for point in record.curve if point.stage == stage][-1]
        for stage in ("classifier", "finetune")
    }
