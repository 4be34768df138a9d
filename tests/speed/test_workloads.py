from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from fgbench.datasets.pipeline import Pipeline
from fgbench.papers.recipes import load_recipes
from fgbench.speed import workloads
from fgbench.speed.bench_rows import FramesRow
from fgbench.speed.energy import Energy
from fgbench.speed.roofline import Bound, Need, Rates, count_need
from fgbench.speed.throughput import Conditions, Speed, Trial
from fgbench.speed.workloads import (
    build,
    decoding_work_of,
    forward_of,
    frames_row,
    random_images,
    size_px,
    training_step_of,
    with_bound,
    work_of,
)

RECIPES = load_recipes()
ALL = (
    "bcnn/fc_cnn_d", "bcnn/fv_cnn_d", "bcnn/fv_sift", "bcnn/bcnn_dm", "bcnn/bcnn_dd", "bcnn/cbp_ts_dd",
    "bcnn/cbp_rm_dd", "bcnn/bcnn_spp_dm", "where_to_focus/spatial_lstm_dm", "keypoint_fcn/fc7_model",
    "keypoint_fcn/compact_bilinear", "keypoint_fcn/part_nets", "tasn/tasn_vgg19", "tasn/tasn_r50",
)  # fmt: skip


def recipe(name):
    return RECIPES[f"{name}@cub"]


def conditions(side=96, **fields):
    return Conditions(**{"batch": 2, "size_px": side, "device": "cpu"} | fields)


def small(name, **options):
    return build(recipe(name), "quick", classes=7, options=options)


def side_of(name):
    return size_px(recipe(name).resolve("quick"))


@pytest.mark.parametrize("name", ALL)
def test_every_method_gives_scores_that_depend_on_the_image_alone(name):
    side = side_of(name)
    scores = work_of(small(name), conditions(side))()
    assert scores.shape == (2, 7)
    assert torch.isfinite(scores).all()
    assert torch.equal(scores, work_of(small(name), conditions(side))())
    assert not torch.equal(scores[0], scores[1])


def test_paper_sizes_are_those_of_the_recipes():
    sizes = {name: size_px(recipe(name).resolve("paper")) for name in ALL}
    assert sizes["bcnn/bcnn_dd"] == 448
    assert sizes["bcnn/fc_cnn_d"] == 224
    assert sizes["keypoint_fcn/part_nets"] == 500
    assert sizes["tasn/tasn_r50"] == 512


def test_options_replace_those_of_the_recipe():
    assert small("bcnn/cbp_rm_dd", dims=64).method.classifier.in_features == 64


def test_fv_cnn_has_no_second_network_and_a_random_mixture():
    assert not hasattr(small("bcnn/fv_cnn_d").method, "finetuned")
    assert small("bcnn/fv_cnn_d").method.gmm.means.shape == (16, 64)
    sift = small("bcnn/fv_sift").method
    assert sift.pca.components.shape == (40, 128)
    assert torch.allclose(sift.pca.components @ sift.pca.components.T, torch.eye(40), atol=1e-5)


def test_half_precision_is_used_and_close_to_fp32():
    network = small("bcnn/bcnn_dm")
    images = random_images(2, 96)
    dtypes = []
    network.method.streams[0].layers[0].register_forward_hook(lambda layer, inputs, out: dtypes.append(out.dtype))
    true = forward_of(network, conditions())(images)
    half = forward_of(network, conditions(dtype="bf16"))(images)
    assert dtypes == [torch.float32, torch.bfloat16]
    assert 0 < float((half.float() - true).norm() / true.norm()) < 0.1
    assert not true.requires_grad


def test_compilation_has_its_mode(monkeypatch):
    calls = []

    def compiled(module, **options):
        calls.append(options)
        return module

    monkeypatch.setattr(torch, "compile", compiled)
    network = small("bcnn/bcnn_dm")
    forward_of(network, conditions())
    assert calls == []
    forward_of(network, conditions(compiled="max-autotune"))(random_images(1, 96))
    assert calls == [{"mode": "max-autotune", "dynamic": False}]


def test_compiled_code_gives_the_same_scores_and_the_recurrence_stays_eager(monkeypatch):
    """Uses only the tracing of torch.compile, which needs no compiler."""
    real, graphs = torch.compile, []

    def tracing(graph, inputs):
        graphs.append(sum(node.op == "call_function" for node in graph.graph.nodes))
        return graph.forward

    monkeypatch.setattr(torch, "compile", lambda module, mode, dynamic: real(module, backend=tracing, dynamic=dynamic))
    for name in ("bcnn/bcnn_dm", "where_to_focus/spatial_lstm_dm"):
        network, images = small(name), random_images(1, side_of(name))
        plain = forward_of(network, conditions())(images)
        assert torch.allclose(forward_of(network, conditions(compiled="default"))(images), plain, atol=1e-6)
    assert len(graphs) == 2
    assert all(10 < operations < 200 for operations in graphs)


def test_work_from_files_takes_them_in_turn(tmp_path):
    rng, files = np.random.default_rng(0), []
    for number in range(3):
        files.append(tmp_path / f"{number}.png")
        Image.fromarray(rng.integers(0, 256, (120, 150, 3), dtype=np.uint8)).save(files[-1])
    network = small("bcnn/bcnn_dm")
    pipeline = Pipeline.parse(recipe("bcnn/bcnn_dm").resolve("quick").test_pipeline)
    work = decoding_work_of(network, conditions(decode=True), files, pipeline, workers=2)
    scores = torch.cat([work(), work(), work()])
    with torch.inference_mode():
        pixels = [pipeline.decode(Image.open(file)) for file in files]
        alone = [network(torch.from_numpy(p.copy()).permute(2, 0, 1)[None]) for p in pixels]
    assert torch.allclose(scores, torch.cat(alone * 2), atol=1e-5)


@pytest.mark.parametrize("name", ["bcnn/bcnn_dm", "keypoint_fcn/part_nets", "tasn/tasn_r50"])
def test_a_training_step_changes_every_layer(name):
    network = small(name)
    # Several steps, because the learning rate is small.
    before = [p.detach().clone() for p in network.method.parameters()]
    step = training_step_of(network, conditions(side_of(name)))
    for _ in range(3):
        assert torch.isfinite(step())
    moved = [not torch.equal(old, new) for old, new in zip(before, network.method.parameters(), strict=True)]
    assert all(p.grad is not None for p in network.method.parameters())
    assert sum(moved) > 0.5 * len(moved)


def test_operations_of_a_method():
    need = count_need(small("bcnn/bcnn_dm"), random_images(1, 96))
    # At 96 px tiny_d has 28 million multiplications and tiny_m 13; pooling 64 x 48 x 144, scores 7 x 64 x 48.
    assert need.gflop > 2 * (64 * 48 * 144 + 7 * 64 * 48) / 1e9
    assert need.image_bytes == 3 * 96 * 96


def speed(**fields):
    base = {
        "conditions": conditions(), "fps": 10.0, "fps_low": 9.0, "fps_high": 11.0, "window_s": (0.2,), "steps": 1,
        "warmup_s": 1.0, "steady": True, "peak_mib": 5.0, "peak_of": "the process",
    }  # fmt: skip
    return Speed(**base | fields)


ENERGY = Energy("b", 1.5, 1.4, 1.6, 300.0, 3, 20.0, (1, 2), (3, 4), ("x",), ("x", "y"))


def test_a_row_has_all_measured_values_and_is_equal_after_json():
    tried = (Trial(1, 5.0), Trial(2, 10.0), Trial(4, None))
    row = frames_row(
        speed(tried=tried, stopped="a batch of 4 did not fit in memory"), Need(2.0, 3, 4), ENERGY,
        method="m", recipe="r", device="d",
    )  # fmt: skip
    assert (row.joule_per_image, row.joule_low, row.joule_high, row.power_w) == (1.5, 1.4, 1.6, 300.0)
    assert row.held_down_by == ["x", "y"]
    assert row.tried == [(1, 5.0), (2, 10.0), (4, None)]
    assert row.best_batch
    assert row.gflop_per_image == 2.0
    assert FramesRow.model_validate_json(row.model_dump_json()) == row
    reason = frames_row(speed(), Need(2.0, 3, 4), "no GPU was used", method="m", recipe="r", device="d")
    assert (reason.joule_per_image, reason.energy_note, reason.best_batch) == (None, "no GPU was used", False)


def test_the_share_of_the_bound():
    row = frames_row(speed(), Need(2.0, 3, 4), "", method="m", recipe="r", device="d")
    bounded = with_bound(row, Bound(40.0, "operations"), Rates(3e12, 5e9))
    assert (bounded.share_of_bound, bounded.bound_fps, bounded.bound_by) == (0.25, 40.0, "operations")
    assert (bounded.peak_gflop_per_s, bounded.bandwidth_gb_per_s) == (3000.0, 5.0)


def test_images_are_moved_to_the_device(monkeypatch):
    asked = []
    monkeypatch.setattr(workloads, "generator", lambda *_: torch.Generator())
    tensor = SimpleNamespace(to=lambda device: (asked.append(device), torch.zeros(1, 2, 2, 3))[1])
    monkeypatch.setattr(torch, "randint", lambda *_, **__: tensor)
    assert random_images(1, 2, "cuda").shape == (1, 3, 2, 2)
    assert asked == ["cuda"]
