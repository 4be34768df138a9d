"""Columns of the pandas tables of `fgbench.judge.frames`, each with its type."""

from fgbench.speed.speed_source import SPEED_COLUMNS

TIME = "datetime64[us, UTC]"
RUN = {
    "run_id": "string", "identity": "string", "paper": "string", "recipe": "string", "title": "string",
    "method": "string", "profile": "string", "data": "string", "split": "string", "seed": "int64",
}  # fmt: skip
"""Columns of the run. `identity` is equal for runs that differ only in their seed."""
VALUE = {
    "metric": "string", "value": "float64", "low": "float64", "high": "float64", "n": "int64", "unit": "string",
    "definition": "string",
}  # fmt: skip
"""Columns of `fgbench.metrics.values.Value`. `low` and `high` are the 95 % interval for other test images."""
TRUST = {
    "protocol_hash": "string", "control": "string", "synthetic": "bool", "comparable": "bool", "deviations": "string",
    "sealed": "bool",
}  # fmt: skip
"""Columns that say whether a value is comparable with a printed one."""
EXTERNAL = {"external": "string", "external_file": "string", "external_sha256": "string"}
"""Columns of what was made outside fgbench: `predictions` or `network`, and its file; empty for a run of fgbench."""
START = {"starts_from": "string", "starts_from_run": "string", "starts_from_network": "string"}
"""Columns of the run from whose network a run started: recipe, run id, SHA-256 of the network; empty if from none."""
COST = {
    "wall_s": "float64", "peak_mib": "float64", "test_fps": "float64", "energy_j": "float64", "energy_note": "string",
    "sittings": "int64", "recalled": "int64", "device_peak_mib": "float64",
}  # fmt: skip
"""Columns of `fgbench.records.run_cost.Cost`."""
EXPECTED = {"expected_s": "float64", "expected_for": "string"}
"""Time that `--dry-run` estimated before the run, and the device for which it was estimated."""
PROVENANCE = {
    "command": "string", "fgbench": "string", "source": "string", "commit": "string", "dirty": "boolean",
    "python": "string", "platform": "string", "cpu": "string", "device": "string", "cores": "Int64",
    "threads": "Int64", "processes": "Int64", "started": TIME, "finished": TIME,
}  # fmt: skip
"""Columns of the provenance of a record."""
GPU = {"driver": "string", "cuda": "string", "cudnn": "Int64", "tf32": "boolean"}
"""Columns of `fgbench.records.gpu_fields.GpuFields`."""
TEXTS = {"head_features": "string", "packages": "string", "weights": "string"}
"""Columns of several parts: storage of features for each stage on a GPU, versions of packages, hashes of weights."""
VALUES = RUN | VALUE | TRUST | EXTERNAL | START | COST | EXPECTED | PROVENANCE | GPU | TEXTS
"""Columns of `fgbench.load` and their types."""
CELLS = {
    "paper": "string", "version": "string", "cell": "string", "table": "string", "row": "string", "column": "string",
    "role": "string", "data": "string", "metric": "string", "params": "string", "printed": "float64", "unit": "string",
    "margin": "float64", "margin_from": "string", "train": "string", "test": "string", "recipe": "string",
    "cites": "string", "source": "string", "note": "string",
}  # fmt: skip
"""Columns of `fgbench.cells` and their types.

`cites` is the cell of another paper, as `<paper>/<cell>`, that a cell repeats. Count rows without `cites`, so that each
number counts once. `margin_from` names the margin of a paper's file from which `margin` is derived; it is empty for a
margin that was chosen.
"""
VERDICTS = CELLS | {
    "verdict": "string", "reason": "string", "command": "string", "measured": "float64", "sampling_low": "float64",
    "sampling_high": "float64", "seeds_low": "float64", "seeds_high": "float64", "interval": "string", "seeds": "int64",
    "protocol_hash": "string", "profile": "string", "synthetic": "boolean", "deviations": "string", "runs": "string",
    "external": "string", "result": "string", **SPEED_COLUMNS,
}  # fmt: skip
"""Columns of `fgbench.verdicts` and their types.

`seeds_low` and `seeds_high` are the 95 % interval of the mean over seeds, and `interval` says over how many, or why
there is none. `sampling_low` and `sampling_high` are the 95 % interval for other test images. `external` is empty for a
verdict on runs of fgbench. A result from outside has a row of its own below that of its cell: `external` is
`predictions` or `network`, and `result` its name. `SPEED_COLUMNS` have the origin of measured frames per second.
"""
