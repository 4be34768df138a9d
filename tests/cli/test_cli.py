import hashlib
import json
import shutil
import socket
import subprocess
import sys
import tarfile
from contextlib import contextmanager
from dataclasses import replace

import pytest
from command_line import program, run

from fgbench.datasets import datasets, obtain
from fgbench.runs.executors.pool import Failure
from fgbench.runs.executors.runner import Result
from fgbench.runs.planning import Plan


def test_help_imports_nothing_heavy():
    code = "import sys, fgbench.cli as c\ntry: c.app(['--help'])\nexcept SystemExit: pass\n"
    code += "print([m for m in ('torch', 'numpy', 'pandas', 'pydantic', 'timm') if m in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    for verb in ("list", "doctor", "data", "weights", "run", "reproduce", "report", "verify"):
        assert verb in done.stdout


def test_version():
    assert run("--version") == (0, "fgbench 0.1.0\n")


def test_list_prints_every_cell_as_json():
    code, text = run("list", "cells", "--json")
    assert code == 0
    cells = json.loads(text)["cells"]
    assert {c["paper"] for c in cells} == {"bcnn", "where_to_focus", "keypoint_fcn", "tasn"}
    assert all(c["source"] and c["margin"] > 0 for c in cells)
    code, text = run("list")
    assert code == 0
    for word in ("bcnn/bcnn_dm", "fv_sift", "synthetic_birds", "where_to_focus"):
        assert word in text


def test_list_and_doctor_contain_all_data_sets():
    code, text = run("list", "data", "--json")
    assert code == 0
    listed = {row["data"]: row["here"] for row in json.loads(text)["data"]}
    assert listed == {
        "aircraft": False, "cars": False, "cub": False, "cuhk03": False, "cuhk03_detected": False,
        "market1501": False, "nabirds": False, "synthetic_birds": True, "synthetic_pedestrians": True, "viper": False,
        "imagefolder:PATH": True,
    } | {name: True for name in listed if name.startswith("mini")}  # fmt: skip
    places = json.loads(run("doctor", "--json")[1])["data"]
    assert places["viper"] == "missing: fgbench data get viper"
    assert places["synthetic_pedestrians"] == "made at first use"


def test_doctor_names_missing_data_and_the_next_command():
    code, text = run("doctor", "--json")
    report = json.loads(text)
    assert code == 0
    row = next(r for r in report["recipes"] if r["recipe"] == "bcnn/bcnn_dd@cub")
    assert row["get it by"] == "fgbench data get cub"
    assert report["machine"]["FGBENCH_DATA"] == "not set"
    assert run("doctor")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("run", "bcnn/bcnn_d"), "did you mean 'bcnn/bcnn_"),
        (("run", "bcnn/bcnn_dd", "--profile", "quik"), "did you mean 'quick'"),
        (("reproduce", "dogs"), "no recipe for the data set 'dogs'"),
        (("list", "cels"), "did you mean 'cells'"),
        (("data", "check", "cup"), "did you mean 'cub'"),
        (("data", "check", "cub"), "fgbench data get cub"),
        (("data", "check", "aircraft"), "fgbench data get aircraft"),
        (("data", "get", "cars"), "cars_test_annos_withlabels.mat"),
        (("data", "get", "nabirds"), "https://dl.allaboutbirds.org/nabirds"),
        (("data", "get", "market1501"), "bounding_box_train/"),
        (("data", "get", "cuhk03"), "cuhk03_new_protocol_config_labeled.mat"),
        (("data", "check", "viper"), "fgbench data get viper"),
        (("data", "check", "marke1501"), "did you mean 'market1501'"),
        (("weights", "get", "vgg16.mat"), "did you mean 'vgg16.matconvnet'"),
        (("verify", "--results", "nowhere"), "there is no folder nowhere"),
        (("report", "--benchmarks", "none.json"), "none.json cannot be read: No such file or directory"),
        (("report", "--benchmarks", "README.md"), "pytest benchmarks --benchmark-only --benchmark-json FILE"),
    ],
)
def test_a_mistake_is_one_sentence_with_exit_code_2(arguments, expected):
    done = program(*arguments)
    assert done.returncode == 2
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--executor", "rai"), "did you mean 'ray'"),
        (("--gpus", "1"), "--gpus is for runs on a cluster"),
        (("--executor", "ray", "--jobs", "2"), "--jobs is for this machine"),
        (("--executor", "ray", "--address", "head"), "'head' is no address of a Ray cluster"),
    ],
)
def test_options_of_the_other_executor_are_an_error(options, expected):
    for verb in (("run", "bcnn/fv_sift"), ("reproduce", "cub")):
        code, text = run(*verb, "--profile", "quick", *options)
        assert code == 1
        assert expected in text


def test_torchrun_with_a_cluster_is_an_error(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    code, text = run("run", "bcnn/fv_sift", "--executor", "ray")
    assert code == 1
    assert "torchrun" in text


def test_an_address_without_ray_cluster_is_an_error(serve, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{free.getsockname()[1]}"
    for address, expected in (
        (nobody, "Connection refused"),
        (f"ray://{nobody}", "Connection refused"),
        (serve(tmp_path).removeprefix("http://"), "the server is not Ray"),
    ):
        code, text = run("run", "bcnn/fv_sift", "--executor", "ray", "--address", address)
        assert code == 1
        assert f"no Ray cluster answers at {address}: " in text
        assert expected in text


def test_missing_ray_names_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    code, text = run("reproduce", "cub", "--executor", "ray")
    assert code == 1
    assert "ray is not installed" in text
    assert "pip install 'fgbench[ray]'" in text


def test_a_cluster_determines_profile_and_device_and_its_failures_are_printed(monkeypatch, tmp_path, birds_folder):
    (tmp_path / "CUB_200_2011").symlink_to(birds_folder)
    monkeypatch.setenv("FGBENCH_DATA", str(tmp_path))
    asked = []

    class Session:
        has_gpu = True

        def run(self, plan, folder, watcher):
            asked.extend(plan.runs)
            watcher.note("a node died")
            return Result(0, 0, (Failure("x", "y"),))

    @contextmanager
    def connected(cluster):
        asked.append(cluster)
        yield Session()

    monkeypatch.setattr("fgbench.runs.executors.ray_cluster.connected", connected)
    options = ("--address", "ray://h:1", "--cpus", "3", "--gpus", "0.5", "--retries", "0")
    code, text = run("run", "bcnn/fv_sift", "--executor", "ray", *options, "--results", str(tmp_path / "r"))
    cluster, *planned = asked
    assert (cluster.address, cluster.cpus, cluster.gpus, cluster.retries) == ("ray://h:1", 3, 0.5, 0)
    resolved = {(planned_run.profile, planned_run.device, planned_run.threads) for planned_run in planned}
    assert resolved == {("paper", "cuda", 4)}
    assert code == 1
    assert "a node died" in text
    assert "failed: x: y" in text


def test_exit_code_is_1_if_every_recipe_is_blocked():
    code, text = run("run", "bcnn/bcnn_dd", "--profile", "frozen")
    assert code == 1
    assert "blocked: bcnn/bcnn_dd@cub: data:" in text
    assert "fgbench data get cub" in text


def test_blocked_person_searches_name_the_command_and_plan_every_split():
    code, text = run("reproduce", "reid", "--profile", "paper")
    assert code == 1
    for name in ("market1501", "viper", "cuhk03"):
        recipes = ", ".join(f"where_to_focus/{recipe}@{name}" for recipe in ("spatial_lstm_dm", "bcnn_dm"))
        assert f"blocked: {recipes}: data:" in text
        assert f"fgbench data get {name}" in text
    assert "2 recipes for viper, seeds 0, 1, 2, 3, 4, 5, 6, 7, 8, 9," in text
    assert "2 recipes for market1501, seeds 0, 1, 2," in text
    assert ", 18, 19," in text


def test_quick_plans_one_data_set_of_a_group(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "fgbench.runs.planning.plan", lambda recipes, *rest, **more: asked.extend(recipes) or Plan((), {})
    )
    run("reproduce", "reid", "--profile", "quick")
    assert [recipe.key for recipe in asked] == [
        "where_to_focus/spatial_lstm_dm@market1501", "where_to_focus/bcnn_dm@market1501",
    ]  # fmt: skip


def test_unexpected_layout_of_a_data_set_is_an_error(tmp_path, monkeypatch):
    root = tmp_path / "Market-1501-v15.09.15"
    for name in ("bounding_box_train", "query", "bounding_box_test"):
        (root / name).mkdir(parents=True)
    (root / "bounding_box_train/person 7.jpg").write_bytes(b"x")
    monkeypatch.setenv("FGBENCH_DATA", str(tmp_path))
    done = program("run", "where_to_focus/bcnn_dm", "--data", "market1501", "--profile", "frozen")
    assert done.returncode == 2
    assert "person 7.jpg: the file name does not have the form of 0002_c1s1_000451_03.jpg" in done.stderr
    assert "Traceback" not in done.stderr


def test_rows_of_person_search_name_recipe_or_missing_data():
    rows = json.loads(run("list", "rows", "--json")[1])["rows"]
    table_rows = [row for row in rows if row["paper"] == "where_to_focus" and row["table"] == "Table 3"]
    with_recipe = {row["data"]: row for row in table_rows if row["recipe"]}
    assert set(with_recipe) == {"viper", "cuhk03", "market1501"}
    assert with_recipe["viper"]["recipe"] == "where_to_focus/spatial_lstm_dm"
    assert with_recipe["viper"]["get it by"] == "fgbench data get viper"
    assert all(row["runs"].startswith("a published number of another group") for row in table_rows if not row["recipe"])


def test_check_reports_a_broken_image_and_other_annotations(birds, birds_folder, tmp_path, monkeypatch):
    copy = shutil.copytree(birds_folder, tmp_path / "CUB_200_2011")
    (copy / birds.files[3]).write_bytes(b"x")
    monkeypatch.setenv("FGBENCH_DATA", str(tmp_path))
    code, text = run("data", "check", "cub", "--json")
    assert code == 1
    problems = json.loads(text)["problems"]
    assert {"corrupt"} == {f["kind"] for f in problems if f["file"] == birds.files[3]}
    assert {f["file"] for f in problems if f["kind"] == "annotation"} >= {"train_test_split.txt", "images.txt"}
    assert run("data", "check", "cub")[0] == 1


def test_data_get_downloads_verifies_and_unpacks_the_official_archive(birds_folder, tmp_path, monkeypatch, serve):
    site = tmp_path / "site"
    site.mkdir()
    archive = site / "CUB_200_2011.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(birds_folder, "CUB_200_2011", filter=lambda m: None if m.name.endswith("2011/attributes.txt") else m)
        tar.add(birds_folder / "attributes.txt", "attributes.txt")
    monkeypatch.setenv("FGBENCH_DATA", str(tmp_path / "data"))
    address = f"{serve(site)}/CUB_200_2011.tgz"
    md5 = hashlib.md5(archive.read_bytes(), usedforsecurity=False).hexdigest()
    official = datasets["cub"]
    served = replace(official, archive=replace(official.archive, url=address, md5=md5))
    monkeypatch.setitem(datasets._objects, "cub", served)
    assert obtain.get_data("cub") == tmp_path / "data/CUB_200_2011"
    assert len(served.index()) == 30
    assert sorted(p.name for p in (tmp_path / "data").iterdir() if p.suffix != ".lock") == ["CUB_200_2011"]
    assert (tmp_path / "data/CUB_200_2011/attributes.txt").is_file()
    monkeypatch.setitem(datasets._objects, "cub", official)
    assert obtain.get_data("cub") == tmp_path / "data/CUB_200_2011"
