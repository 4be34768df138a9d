"""A kept network predicts for image files what its run predicted for them."""

import shutil
from dataclasses import replace

import mini
import numpy as np
import pytest
import torch

from fgbench.datasets.image_files import ImageFiles
from fgbench.records.kept_networks import network_path
from fgbench.records.store import store_of
from fgbench.runs import kept_run
from fgbench.runs.image_predictions import predict_files
from fgbench.runs.kept_run import open_kept_run
from fgbench.runs.planning import planned_index
from fgbench.util.errors import FgbenchError

RUNS = {
    "svm": lambda: mini.quick_run("bcnn/cbp_ts_dd@cub", size=48),
    "vocabulary": lambda: mini.quick_run("bcnn/fv_cnn_m@cub", size=48),
    "softmax": lambda: mini.quick_run("keypoint_fcn/part_nets@cub"),
    "keypoints": lambda: mini.quick_run("keypoint_fcn/localizer@cub"),
}
"""What classifies -> a run."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The results folder, and for each run its record, the files of its test images and its arrays."""
    folder = tmp_path_factory.mktemp("kept")
    made = {}
    for name, run_of in RUNS.items():
        run = replace(run_of(), keep_network=True)
        record = mini.do(run, folder)
        index = planned_index(run)
        test = index.select(~index.train)
        made[name] = record, [test.root / file for file in test.files], store_of(folder).outputs(record)
    return folder, made


@pytest.mark.parametrize("name", ["svm", "vocabulary", "softmax"])
def test_the_test_images_have_the_scores_and_labels_of_the_record(name, runs):
    folder, made = runs
    record, files, arrays = made[name]
    kept = open_kept_run(folder, record.run_id)
    together = predict_files(kept, files, top=99)
    names, expected = arrays["class_names"].tolist(), arrays["scores"]
    scores = np.array([[{c.name: c.score for c in p.classes}[name] for name in names] for p in together])
    assert np.array_equal(scores.astype(np.float32), expected)
    assert [p.label for p in together] == [names[row] for row in expected.argmax(axis=1)]
    assert all(np.diff([c.score for c in p.classes]).max() <= 0 for p in together)
    (alone,) = predict_files(kept, files[5:6], top=2)  # other batches may differ in rounding
    assert [c.name for c in alone.classes] == [c.name for c in together[5].classes[:2]]
    np.testing.assert_allclose(
        [c.score for c in alone.classes], [c.score for c in together[5].classes[:2]], rtol=1e-4, atol=1e-6
    )


def test_probabilities_are_the_softmax_of_logits_and_an_svm_has_none(runs):
    folder, made = runs
    record, files, arrays = made["softmax"]
    (prediction,) = predict_files(open_kept_run(folder, record.run_id), files[:1], top=99)
    probabilities = [entry.probability for entry in prediction.classes]
    scores = np.sort(arrays["scores"][0].astype(float))[::-1]
    np.testing.assert_allclose(probabilities, np.exp(scores) / np.exp(scores).sum(), rtol=1e-4)
    record, files, _ = made["svm"]
    (prediction,) = predict_files(open_kept_run(folder, record.run_id), files[:1])
    assert {entry.probability for entry in prediction.classes} == {None}


def test_keypoints_are_those_of_the_record_in_pixels_of_the_original_image(runs):
    folder, made = runs
    record, files, arrays = made["keypoints"]
    kept = open_kept_run(folder, record.run_id)
    predictions = predict_files(kept, files)
    found = np.array([list(prediction.keypoints.values()) for prediction in predictions])
    np.testing.assert_allclose(found, arrays["keypoints"], rtol=1e-12)
    assert list(predictions[0].keypoints) == arrays["part_names"].tolist()
    assert predictions[0].classes == ()
    with pytest.raises(FgbenchError, match="the method gives no scores"):
        _ = predictions[0].label


def test_small_networks_are_not_trained_again(runs, monkeypatch, tmp_path):
    folder, made = runs
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path))
    record, files, _ = made["svm"]
    assert predict_files(open_kept_run(folder, record.run_id), files[:1])
    assert list(tmp_path.iterdir()) == []


def test_torch_is_left_as_it_was(runs):
    folder, made = runs
    record, files, _ = made["svm"]
    torch.use_deterministic_algorithms(False)
    before = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads(), torch.random.get_rng_state()
    kept = open_kept_run(folder, record.run_id)
    seen = []
    predict = kept.method.predict
    kept.method.predict = lambda images: seen.append(torch.are_deterministic_algorithms_enabled()) or predict(images)
    predict_files(kept, files[:1])
    assert set(seen) == {True}
    after = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads(), torch.random.get_rng_state()
    assert before[:2] == after[:2]
    assert torch.equal(before[2], after[2])


def test_progress_is_reported_for_each_batch(runs, monkeypatch):
    folder, made = runs
    record, files, _ = made["svm"]
    monkeypatch.setattr(kept_run, "inference_batch", lambda side: 8)
    shares = []
    open_kept_run(folder, record.run_id).predict(
        ImageFiles(files, open_kept_run(folder, record.run_id).pipeline), lambda what, share: shares.append(share)
    )
    assert shares == [0.5, 1.0]


def edited(folder, tmp_path, record):
    """Return a copy of the results folder."""
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    return copy, network_path(copy, record.network_sha256)


def test_a_network_that_was_changed_or_moved_is_refused(runs, tmp_path):
    folder, made = runs
    record = made["svm"][0]
    copy, path = edited(folder, tmp_path, record)
    path.write_bytes(path.read_bytes()[:-1] + b"\7")
    with pytest.raises(FgbenchError, match=r"its network .* is not the file that was written with the record"):
        open_kept_run(copy, record.run_id)
    path.unlink()
    with pytest.raises(FgbenchError, match="is not here") as error:
        open_kept_run(copy, record.run_id)
    assert f"fgbench rm {record.run_id} --results {copy}" in error.value.hint


def test_a_run_without_a_kept_network_says_how_to_keep_it(tmp_path):
    record = mini.do(mini.run_of("fc_cnn_d"), tmp_path)
    with pytest.raises(FgbenchError, match="kept no network") as error:
        open_kept_run(tmp_path, record.run_id)
    assert "--keep-network" in error.value.hint
    with pytest.raises(FgbenchError, match="not finished"):
        open_kept_run(tmp_path, "0" * 16)
