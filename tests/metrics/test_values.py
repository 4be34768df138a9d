import numpy as np
import pytest
from stored_records import record

from fgbench.datasets.synthetic.bird_drawing import KEYPOINTS
from fgbench.metrics.accuracy import accuracy, mean_class_accuracy
from fgbench.metrics.keypoints import pck, pck_hits
from fgbench.metrics.parts import part_boxes, pcp
from fgbench.metrics.values import ALPHAS, measure, value_name
from fgbench.papers.printed import load_papers
from fgbench.records.store import Store
from fgbench.statistics.intervals import wilson_interval
from fgbench.util.hashing import hash_file

N = 40
HIDDEN = "left leg"


def arrays(names=KEYPOINTS, keypoints=True, attention=True):
    """Return per-sample arrays of a method with keypoints and attention."""
    rng = np.random.default_rng(0)
    labels = np.arange(N) % 4
    result = {"ids": np.arange(N), "labels": labels, "scores": rng.normal(size=(N, 4)) + 2 * np.eye(4)[labels]}
    visible = rng.random((N, len(names))) < 0.7
    if HIDDEN in names:
        visible[:, names.index(HIDDEN)] = False
    truth = np.dstack([rng.uniform(20, 280, (N, len(names), 2)), visible])
    result["part_names"] = np.array(names)
    if keypoints:
        guess = truth[..., :2] + rng.normal(scale=12, size=(N, len(names), 2))
        result["keypoints"] = np.dstack([guess, rng.normal(size=visible.shape) + 1])
        result["true_keypoints"] = truth
        result["boxes"] = np.hstack([rng.uniform(0, 20, (N, 2)), rng.uniform(100, 280, (N, 2))])
    if attention:
        result["attention_at_parts"] = np.where(visible, rng.random(visible.shape) * 3, np.nan)
        result["attention_in_box"] = np.where(np.arange(N) == 3, np.nan, rng.random(N) * 2)
    return result


def test_accuracies():
    samples = arrays(keypoints=False, attention=False)
    values = measure(samples)
    assert set(values) == {"accuracy", "mean_class_accuracy", "class_map"}
    assert values["accuracy"].value == accuracy(samples["scores"], samples["labels"])
    assert values["mean_class_accuracy"].value == mean_class_accuracy(samples["scores"], samples["labels"])
    assert {(v.unit, v.n) for v in values.values()} == {("%", N)}


def test_keypoints():
    samples = arrays(attention=False)
    values = measure(samples)
    predicted, truth, boxes = samples["keypoints"][..., :2], samples["true_keypoints"], samples["boxes"]
    shown = [name for name in KEYPOINTS if name != HIDDEN]
    expected = {"accuracy", "mean_class_accuracy", "class_map", "pcp/head", "pcp/body"}
    for alpha in ("0.02", "0.05", "0.08", "0.10"):
        expected |= {f"pck@{alpha}", *(f"pck@{alpha}/{name}" for name in shown)}
    assert set(values) == expected
    for alpha in ALPHAS:
        percent, hits = pck(predicted, truth, boxes, alpha), pck_hits(predicted, truth, boxes, alpha).sum(axis=0)
        for part, name in enumerate(KEYPOINTS):
            if name != HIDDEN:
                value, n = values[f"pck@{alpha:.2f}/{name}"], int(truth[:, part, 2].sum())
                interval = wilson_interval(int(hits[part]), n)
                assert (value.value, value.n, value.unit) == (percent[part], n, "%")
                assert (value.low, value.high) == (100 * interval.low, 100 * interval.high)
                assert value.low < value.value < value.high or value.value in {0, 100}
        mean = values[f"pck@{alpha:.2f}"]
        assert mean.value == pytest.approx(np.nanmean(percent))
        assert mean.n == truth[..., 2].sum()
    assert 0 < values["pck@0.02"].value < values["pck@0.05"].value < values["pck@0.10"].value < 100
    for region in ("head", "body"):
        result = pcp(
            part_boxes(predicted, samples["keypoints"][..., 2] > 0, KEYPOINTS, region),
            part_boxes(truth[..., :2], truth[..., 2] > 0, KEYPOINTS, region),
        )
        value = values[f"pcp/{region}"]
        assert (value.value, value.n) == (result.percent, result.total)
        assert 0 < value.low < value.value < value.high < 100


def test_other_parts_than_birds_have_no_pcp():
    values = measure(arrays(("wheel", "door"), attention=False))
    assert "pck@0.10/wheel" in values
    assert not [name for name in values if name.startswith("pcp")]


def test_attention():
    samples = arrays(keypoints=False)
    values = measure(samples)
    parts, box = samples["attention_at_parts"], samples["attention_in_box"]
    shown = [name for name in KEYPOINTS if name != HIDDEN]
    assert set(values) == {
        "accuracy", "mean_class_accuracy", "class_map", "attention/parts", "attention/box",
        *(f"attention/{n}" for n in shown)
    }  # fmt: skip
    assert values["attention/parts"].value == pytest.approx(np.nanmean(parts))
    assert values["attention/parts"].n == (~np.isnan(parts)).sum()
    assert values["attention/box"].value == pytest.approx(np.nanmean(box))
    assert values["attention/box"].n == N - 1
    for name in shown:
        column = parts[:, KEYPOINTS.index(name)]
        assert values[f"attention/{name}"].value == pytest.approx(np.nanmean(column))
        assert values[f"attention/{name}"].n == (~np.isnan(column)).sum()
        assert values[f"attention/{name}"].unit == "x"


def test_value_name():
    assert value_name("accuracy", {}) == "accuracy"
    assert value_name("pcp", {"part": "head"}) == "pcp/head"
    for alpha in (0.1, "0.1", "0.10", 0.10):
        assert value_name("pck", {"alpha": alpha, "part": "left eye"}) == "pck@0.10/left eye"
    assert value_name("pck", {"alpha": 0.02, "part": "tail"}) == "pck@0.02/tail"


def test_every_printed_cell_of_keypoints_and_parts_has_a_value():
    names = tuple(name for name in KEYPOINTS if name != HIDDEN)
    values = set(measure(arrays())) | {f"pck@{alpha:.2f}/{HIDDEN}" for alpha in ALPHAS}
    asked = {
        value_name(cell.metric, dict(cell.params))
        for paper in load_papers().values()
        for cell in paper.cells()
        if cell.metric in {"pck", "pcp"}
    }
    assert len(asked) > len(names)
    assert asked <= values


def write(store, samples):
    fields, _ = record(values=measure(samples))
    return store.write(fields, samples)


def test_records_with_keypoints_and_attention_verify(tmp_path):
    store = Store(tmp_path)
    written = write(store, arrays())
    assert store.verify(written) == []
    assert store.read(written.run_id) == written
    assert set(store.outputs(written)) == set(arrays())


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("keypoints", lambda a: a + 40, "pck@0.05"),
        ("true_keypoints", lambda a: np.roll(a, 1, axis=0), "pck@0.10/tail"),
        ("boxes", lambda a: a * 2, "pck@0.02"),
        ("part_names", lambda a: a[::-1], "pck@0.05/tail"),
        ("attention_at_parts", lambda a: a + 1, "attention/parts"),
        ("attention_in_box", lambda a: a + 1, "attention/box"),
    ],
)
def test_verify_reports_changed_arrays(tmp_path, name, change, message):
    store = Store(tmp_path)
    written = write(store, arrays())
    np.savez_compressed(tmp_path / written.outputs, **{**arrays(), name: change(arrays()[name])})
    assert "not the file that was written" in store.verify(written)[0]
    # With a forged hash, the values reveal the change.
    forged = written.model_copy(update={"outputs_sha256": hash_file(tmp_path / written.outputs)})
    assert any(line.startswith(f"{message}:") for line in store.verify(forged))


def test_verify_reports_missing_keypoints(tmp_path):
    store = Store(tmp_path)
    written = write(store, arrays())
    np.savez_compressed(tmp_path / written.outputs, **arrays(keypoints=False))
    forged = written.model_copy(update={"outputs_sha256": hash_file(tmp_path / written.outputs)})
    assert "pck@0.10 is not a value of this protocol" in store.verify(forged)


def test_watched_last_and_best_epoch():
    labels = np.arange(8) % 4
    classes = np.stack([np.where(np.arange(8) < right, labels, (labels + 1) % 4) for right in (3, 7, 7, 5)], axis=1)
    values = measure({"watched": classes.astype(np.int16), "labels": labels})
    assert {name: (value.value, value.n) for name, value in values.items()} == {
        "watched/last_epoch": (62.5, 8),
        "watched/best_on_test": (87.5, 8),
    }
    assert "of 4 epochs" in values["watched/best_on_test"].definition
