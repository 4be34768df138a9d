import json
import shutil

import numpy as np
import pytest
from made_nights import folder
from made_records import made, of_right
from simulate.trainings import kept

from fgbench.judge.nightly import value_tests as values
from fgbench.judge.nightly.findings import build_comparison
from fgbench.judge.nightly.history import mean_values
from fgbench.judge.nightly.quality import compare_quality
from fgbench.judge.nightly.results_folder import read_folder
from fgbench.judge.nightly.run_matching import match_runs, run_label
from fgbench.metrics.ranking import Search, rank
from fgbench.metrics.values import measure
from fgbench.util.errors import FgbenchError

RIGHT = np.random.default_rng(0).random(400) < 0.8


def compare(tmp_path, base, head):
    """Findings of two nights on disk: {(kind, where): text}."""
    for name in ("a", "b"):
        shutil.rmtree(tmp_path / name, ignore_errors=True)
    nights = [read_folder(folder(tmp_path / name, *pairs)) for name, pairs in (("a", base), ("b", head))]
    return {(finding.kind, finding.where): finding.text for finding in compare_quality(*nights)[0]}


NAME = "bcnn/bcnn_dd@cub (paper, seed 0)"


def test_equal_nights_have_no_finding(tmp_path):
    assert compare(tmp_path, [of_right(RIGHT)], [of_right(RIGHT, provenance={"source": "other"})]) == {}


def test_a_missing_run_fails_and_an_added_run_is_new(tmp_path):
    one, two = of_right(RIGHT), of_right(~RIGHT, "bcnn/bcnn_dm@cub")
    found = compare(tmp_path, [one, two], [one])
    assert list(found) == [("was not run", "bcnn/bcnn_dm@cub (paper, seed 0)")]
    found = compare(tmp_path, [one], [one, two])
    assert list(found) == [("new", "bcnn/bcnn_dm@cub (paper, seed 0)")]


def test_a_missing_value_was_not_run(tmp_path):
    record, arrays = of_right(RIGHT)
    less = record.model_copy(update={"values": {"accuracy": record.values["accuracy"]}})
    found = compare(tmp_path, [(record, arrays)], [(less, arrays)])
    assert ("was not run", f"{NAME}: mean_class_accuracy") in found
    assert ("new", f"{NAME}: mean_class_accuracy") in compare(tmp_path, [(less, arrays)], [(record, arrays)])


def test_worse_and_better_by_the_images_that_moved(tmp_path):
    lost = RIGHT.copy()
    lost[np.flatnonzero(RIGHT)[:60]] = False
    before, after = of_right(RIGHT), of_right(lost)
    found = compare(tmp_path, [before], [after])
    assert list(found) == [("worse", f"{NAME}: accuracy")]
    assert "60 images lower and 0 higher of 400, McNemar" in found["worse", f"{NAME}: accuracy"]
    found = compare(tmp_path, [after], [before])
    assert list(found) == [("better", f"{NAME}: accuracy")]
    assert found["better", f"{NAME}: accuracy"].endswith("if it is intended: fgbench nightly --accept")


def test_seeds_are_pooled(tmp_path):
    """Twenty images lost in each of three seeds: too few in one alone, enough together."""
    lost = [RIGHT.copy() for _ in range(3)]
    for k, row in enumerate(lost):
        row[np.flatnonzero(RIGHT)[20 * k : 20 * k + 20]] = False
    before = [of_right(RIGHT, seed=k) for k in range(3)]
    after = [of_right(lost[k], seed=k) for k in range(3)]
    found = compare(tmp_path, before[:1], after[:1])
    assert list(found) == [("note", "values")]
    assert found["note", "values"].startswith(
        "1 of 1 values changed within the variation between trainings or by a few images; the one with the smallest "
    )
    found = compare(tmp_path, before, after)
    name = "bcnn/bcnn_dd@cub (paper, seeds 0, 1, 2): accuracy"
    assert list(found) == [("worse", name)]
    kept_as, _ = mean_values(read_folder(tmp_path / "b"))
    assert kept_as[name] == pytest.approx(100 * np.mean(lost))


def test_different_protocols_are_listed_by_field_and_not_compared(tmp_path):
    found = compare(tmp_path, [of_right(RIGHT)], [of_right(~RIGHT, protocol={"selection": "best epoch"})])
    assert list(found) == [("changed", NAME)]
    assert "selection: last epoch or best epoch" in found["changed", NAME]


def test_another_filter_of_the_resize_is_another_run(tmp_path):
    record, arrays = of_right(RIGHT)
    settings = json.loads(json.dumps(record.settings))
    assert "bilinear" in settings["test_pipeline"]
    settings["test_pipeline"] = settings["test_pipeline"].replace("bilinear", "bicubic")
    found = compare(tmp_path, [(record, arrays)], [of_right(~RIGHT, settings=settings)])
    assert list(found) == [("changed", NAME)]
    assert "test_pipeline" in found["changed", NAME]
    assert "bicubic" in found["changed", NAME]


def test_a_swapped_label_file_is_found(tmp_path):
    record, arrays = of_right(RIGHT)
    swapped = {**arrays, "labels": arrays["labels"][::-1].copy()}
    other = record.model_copy(update={"values": measure(swapped)})
    found = compare(tmp_path, [(record, arrays)], [(other, swapped)])
    assert found["changed", NAME] == "labels of the test samples: 400 of 400 differ"
    assert not any(kind in {"worse", "better"} for kind, _ in found)


def test_other_test_samples_are_not_compared(tmp_path):
    one, two = of_right(RIGHT), of_right(~RIGHT, ids=np.arange(400)[::-1].copy())
    assert list(compare(tmp_path, [one], [two])) == [("changed", NAME)]


def searched(rule="step"):
    """Queries of a search; `ap_step` by either rule."""
    rng = np.random.default_rng(0)
    nearness, who = rng.random((40, 60)), rng.integers(8, size=100)
    search = Search(who[:40], who[40:], np.zeros(40, int), np.ones(60, int), same_camera="keep")
    found = rank(nearness, search)
    names = ("relevant", "tied", "first_rank", "ap_step", "ap_trapezoid", "inp")
    arrays = {name: getattr(found, name) for name in names}
    arrays |= {"ids": np.arange(40), "identities": who[:40], "cameras": np.zeros(40, int), "split": np.full(40, "1")}
    arrays |= {"ties": np.array("optimistic"), "no_match": np.array("skip")}
    if rule != "step":
        arrays["ap_step"] = arrays["ap_trapezoid"]
    return arrays


def test_another_definition_of_average_precision_is_found(tmp_path):
    pairs = [(made(arrays=arrays), arrays) for arrays in (searched(), searched("trapezoid"))]
    found = compare(tmp_path, pairs[:1], pairs[1:])
    assert "the outputs are equal" in found["changed", f"{NAME}: ap_step"]
    assert not any(kind in {"worse", "better"} for kind, _ in found)


def test_another_value_of_equal_outputs_is_a_changed_definition(tmp_path):
    record, arrays = of_right(RIGHT)
    value = record.values["accuracy"].model_copy(update={"value": 70.0, "low": 60.0, "high": 80.0})
    other = record.model_copy(update={"values": {**record.values, "accuracy": value}})
    found = compare(tmp_path, [(record, arrays)], [(other, arrays)])
    assert "the outputs are equal, but the value is" in found["changed", f"{NAME}: accuracy"]
    assert ("broken", NAME) in found  # and it is not what its outputs give


def test_a_baseline_whose_outputs_no_longer_yield_its_values_is_reported(tmp_path):
    record, arrays = of_right(RIGHT)
    value = record.values["accuracy"].model_copy(update={"value": 70.0, "low": 60.0, "high": 80.0})
    old = record.model_copy(update={"values": {**record.values, "accuracy": value}})
    lost = ~RIGHT
    found = compare(tmp_path, [(old, arrays)], [of_right(lost)])
    assert "no longer yield its values" in found["changed", NAME]


@pytest.mark.parametrize("text", ["NaN", "Infinity", "null", '"x"', "101.0", "-1.0"])
def test_an_invalid_or_impossible_number_is_broken(tmp_path, text):
    record, arrays = of_right(RIGHT)
    base, head = (folder(tmp_path / name, (record, arrays)) for name in ("a", "b"))
    path = head / "records" / f"{record.run_id}.json"
    value = json.dumps(record.values["accuracy"].value)
    path.write_text(path.read_text().replace(f'"value": {value}', f'"value": {text}', 1))
    found, _ = compare_quality(read_folder(base), read_folder(head))
    assert any(finding.kind in {"broken", "was not run"} for finding in found)
    assert build_comparison("a", "b", found, []).exit_code == 1


def test_a_damaged_record_and_damaged_outputs_are_broken(tmp_path):
    pairs = [of_right(RIGHT), of_right(~RIGHT, "bcnn/bcnn_dm@cub")]
    base, head = (folder(tmp_path / name, *pairs) for name in ("a", "b"))
    first, second = sorted((head / "records").glob("*.json"))
    first.write_text(first.read_text()[:100])
    second.with_suffix(".npz").write_bytes(b"x")
    found, _ = compare_quality(read_folder(base), read_folder(head))
    broken = [finding.where for finding in found if finding.kind == "broken"]
    assert broken == [f"this night: {first.name}", f"this night: {second.stem}.npz"]
    assert [finding.kind for finding in found].count("was not run") == 2


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FgbenchError, match="no folder"):
        read_folder(tmp_path / "none")


def test_runs_with_equal_keys_are_matched_by_their_settings():
    full, small = of_right(RIGHT)[0], of_right(RIGHT, protocol={"images": "of 20 classes"})[0]
    assert match_runs([full, small], [small]).missing == (full,)
    assert match_runs([full, small], [small]).pairs == ((small, small),)
    old = full.model_copy(update={"run_id": "0" * 16, "provenance": {"finished": "2025"}})
    new = full.model_copy(update={"provenance": {"finished": "2026"}})
    assert match_runs([full], [new, old]).pairs == ((full, new),)


def test_a_control_is_another_run():
    control = of_right(RIGHT, protocol={"control": "shuffled labels"})[0]
    assert match_runs([control], [of_right(RIGHT)[0]]).missing == (control,)
    assert "shuffled labels" in run_label(control)


def test_the_level_is_for_all_runs_that_differ():
    """The same loss is a finding in one run, and none among six that differ; runs that are equal do not count."""
    images = np.random.default_rng(0).random((6, 1, 200)) < 0.84
    alone = images.copy()
    alone[3, 0, np.flatnonzero(images[3, 0])[:26]] = False
    among = alone.copy()
    among[:, :, -1] = ~images[:, :, -1]
    assert [f.kind for f in compare_quality(kept(images), kept(alone))[0] if f.fails] == ["worse"]
    assert not [f for f in compare_quality(kept(images), kept(among))[0] if f.fails]


def test_values_are_adjusted_by_holm_within_a_run_and_by_the_number_of_runs(tmp_path, monkeypatch):
    """Each run has an equal part of the level; Holm's correction divides it among the values of a run."""
    monkeypatch.setattr(values, "decrease_test", lambda old, new, dispersion: (0.001, "a test"))
    arrays = searched()
    pairs = [(made(arrays=arrays), arrays), of_right(RIGHT, "bcnn/bcnn_dm@cub")]
    monkeypatch.setattr(values, "count_differing", len)
    night = read_folder(folder(tmp_path, *pairs))
    adjusted = {check.where: check.p for check in compare_quality(night, night)[1]}
    alone = adjusted.pop("bcnn/bcnn_dm@cub (paper, seed 0): accuracy")
    assert adjusted.pop("bcnn/bcnn_dm@cub (paper, seed 0): accuracy of single classes") == 1
    assert alone == pytest.approx(2 * 0.001)
    assert len(adjusted) > 3
    assert list(adjusted.values()) == pytest.approx([2 * 0.001 * len(adjusted)] * len(adjusted))
