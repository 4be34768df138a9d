"""`--dry-run`: what would run, what is kept, what is blocked, and where the estimate goes."""

import json
import shutil
from dataclasses import replace

import mini
import pytest
from command_line import answer_of, run

from fgbench.cli import estimates
from fgbench.datasets import datasets
from fgbench.records.expectations import EXPECTED, keep_expected, read_expected
from fgbench.records.run_cost import Expected
from fgbench.records.store import store_of
from fgbench.speed.machine_rates import ASSUMED_HOST, gpu_rates

MADE = Expected(
    device="made", source="made", phase_s={"training": 2.0, "test": 1.0}, part_s={"arithmetic": 3.0},
    disk_mib=1.0, host_mib=2.0, device_mib=None,
)  # fmt: skip


@pytest.fixture(autouse=True)
def quick_rates(monkeypatch, no_weights):
    monkeypatch.setattr(
        estimates, "measure_device", lambda *_: replace(gpu_rates("h100"), is_gpu=False, name="this CPU")
    )
    monkeypatch.setattr(estimates, "measure_host", lambda *_: ASSUMED_HOST)


@pytest.fixture
def no_weights(monkeypatch, tmp_path):
    monkeypatch.setenv("FGBENCH_WEIGHTS", str(tmp_path / "none"))


def dry(results, *arguments):
    code, answer = answer_of("run", *arguments, "--dry-run", "--json", "--results", str(results))
    assert code == 0
    return answer


def test_a_dry_run_runs_nothing_and_keeps_the_estimate_for_the_record(tmp_path, birds_folder, monkeypatch):
    # Fewer birds than the profile generates, in their place.
    shutil.copytree(birds_folder, tmp_path / "cache/data" / datasets["synthetic_birds"].folder)
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "cache"))
    content = dry(tmp_path / "r", "bcnn/fv_sift", "--profile", "quick")
    (row,) = content["runs"]
    assert (row["state"], row["cells"], row["note"]) == ("to run", 0, "")
    assert content["total_s"] == row["expected"]["wall_s"] > 0
    assert content["blocked"] == []
    assert [path.name for path in (tmp_path / "r").iterdir()] == [EXPECTED]
    kept = read_expected(tmp_path / "r", row["run_id"])
    assert kept is not None
    assert kept.part_s == row["expected"]["part_s"]


def test_a_dry_run_of_sensitivity_has_a_run_for_each_quality(tmp_path, birds_folder, monkeypatch):
    shutil.copytree(birds_folder, tmp_path / "cache/data" / datasets["synthetic_birds"].folder)
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "cache"))
    arguments = ("bcnn/fv_sift", "--profile", "quick", "--recompress", "75,20", "--dry-run", "--json")
    code, content = answer_of("sensitivity", *arguments, "--results", str(tmp_path / "r"))
    assert code == 0
    titles = ["FV-SIFT", "FV-SIFT, recompressed to quality 75", "FV-SIFT, recompressed to quality 20"]
    assert [row["title"] for row in content["runs"]] == [f"{title}, quick, seed 0" for title in titles]
    assert [path.name for path in (tmp_path / "r").iterdir()] == [EXPECTED]


def test_recipes_of_nabirds_are_blocked_without_it_and_estimated_on_its_official_counts(tmp_path):
    content = dry(tmp_path, "bcnn/bcnn_dm", "--data", "nabirds", "--profile", "paper", "--gpu", "h100")
    (row,) = content["blocked"]
    assert "fgbench data get nabirds" in json.dumps(row)
    (of_cub,) = dry(tmp_path, "bcnn/bcnn_dm", "--profile", "paper", "--gpu", "h100")["blocked"]
    # NABirds has 23,929 training images, CUB-200-2011 has 5,994.
    assert 3.5 < row["expected"]["phase_s"]["training"] / of_cub["expected"]["phase_s"]["training"] < 5.5


def test_a_recipe_without_its_weights_is_blocked_and_estimated_on_the_official_data(tmp_path):
    content = dry(tmp_path, "bcnn/bcnn_dd", "--profile", "paper", "--precision", "bf16-mixed", "--gpu", "h100")
    (row,) = content["blocked"]
    assert content["runs"] == []
    assert row["recipe"] == "bcnn/bcnn_dd@cub"
    assert row["reason"].startswith(("weights: ", "data: "))
    assert row["command"].startswith("fgbench ")
    assert 60 < row["expected"]["wall_s"] < 600
    assert row["expected"]["device"] == content["device"] == "NVIDIA H100 SXM, 80 GB"
    code, text = run(
        "run", "bcnn/bcnn_dd", "--profile", "paper", "--gpu", "h100", "--dry-run", "--results", str(tmp_path)
    )
    assert code == 0
    for column in ("arithmetic, s", "launches, s", "feeding, s", "writing, s", "svm, s", "disk, GiB", "GPU, GiB"):
        assert column in text
    assert "0 runs to do in about 0.0 min one after the other, 0 kept from before, 1 recipe blocked" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--gpu", "h100"), "--gpu is for an estimate"),
        (("--dry-run", "--gpu", "h10"), "no rates of a GPU named 'h10'; did you mean 'h100'"),
        (("--dry-run", "--executor", "ray"), "--dry-run estimates for one machine"),
    ],
)
def test_options_of_a_dry_run_that_do_not_fit_are_refused(tmp_path, arguments, message):
    for verb in (("run", "bcnn/fv_sift"), ("reproduce", "cub")):
        code, text = run(*verb, "--profile", "paper", *arguments, "--results", str(tmp_path / "r"))
        assert code != 0  # `main` makes it 2
        assert message in text
    assert not (tmp_path / "r").exists()


def test_the_estimate_stands_beside_the_cost_and_is_not_in_the_id(tmp_path):
    planned = mini.run_of("fv_sift")
    assert read_expected(tmp_path, planned.id) is None
    keep_expected(tmp_path, planned.id, MADE)
    estimated = replace(planned, expected=read_expected(tmp_path, planned.id))
    assert estimated.id == planned.id
    assert mini.do(estimated, tmp_path).cost.expected == MADE
    assert store_of(tmp_path).read(planned.id).cost.expected == MADE
    assert MADE.wall_s == 3.0
    (tmp_path / EXPECTED / f"{planned.id}.json").write_text("{")
    assert read_expected(tmp_path, planned.id) is None


@pytest.fixture
def few_birds(tmp_path, birds_folder, monkeypatch):
    """Fewer birds than the profile `quick` generates, in their place."""
    shutil.copytree(birds_folder, tmp_path / "cache/data" / datasets["synthetic_birds"].folder)
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "cache"))


def test_a_run_that_others_start_from_is_listed_first_with_those_that_share_it(tmp_path, few_birds):
    arguments = ("bcnn/fv_cnn_m", "--profile", "quick", "--epochs", "1")
    first, second = dry(tmp_path / "r", *arguments)["runs"]
    assert (first["title"], second["title"]) == ("FC-CNN [M], quick, seed 0", "FV-CNN [M], quick, seed 0")
    assert (first["network_for"], second["network_for"]) == ([second["title"]], [])
    assert "training" in first["expected"]["phase_s"]
    assert second["expected"]["phase_s"].get("training", 0.0) == 0.0
    _, text = run("run", *arguments, "--dry-run", "--results", str(tmp_path / "r"))
    assert "also needed: FC-CNN [M], quick, seed 0: FV-CNN [M] starts from its network" in " ".join(text.split())
    requested = dry(tmp_path / "r", "bcnn/fc_cnn_m", *arguments)["runs"]
    assert [row["run_id"] for row in requested] == [first["run_id"], second["run_id"]]


def test_a_blocked_recipe_stands_after_the_one_that_it_starts_from(tmp_path):
    content = dry(tmp_path, "bcnn/fv_cnn_d", "--profile", "paper", "--gpu", "h100")
    first, second = content["blocked"]
    assert [row["recipe"] for row in (first, second)] == ["bcnn/fc_cnn_d@cub", "bcnn/fv_cnn_d@cub"]
    assert first["expected"]["phase_s"]["training"] > 100
    assert second["expected"]["phase_s"].get("training", 0.0) == 0.0
