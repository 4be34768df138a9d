"""Estimates from made kernels and rates: what each part and each size contains."""

from dataclasses import replace

import pytest

from fgbench.papers.recipes import load_recipes
from fgbench.papers.settings import Stage
from fgbench.speed import machine_rates
from fgbench.speed.cost_estimate import MIB, estimate
from fgbench.speed.kernels import Kernel
from fgbench.speed.machine_rates import ASSUMED_HOST, DeviceRates, HostRates, gpu_rates
from fgbench.speed.planned_costs import official_cost
from fgbench.speed.roofline import Rates
from fgbench.speed.run_kernels import RunKernels, Sizes, StageKernels, run_kernels
from fgbench.util.errors import FgbenchError

RECIPES = load_recipes()
RATE = {"fp32": 100.0, "bf16": 400.0}
CPU = DeviceRates("made", "made", False, RATE, RATE, RATE, 1000.0, 0.5, 1e12, 1e12)
GPU = replace(CPU, is_gpu=True)
HOST = HostRates(disk_bytes_per_s=1e6, decoded_images_per_s=10.0, coordinate_s=0.0)
SIZES = Sizes(train_images=100, test_images=50, classes=7)
STAGE = Stage(step=1, train=("classifier",), epochs=3, batch_size=20, lr=0.1, momentum=0.9, weight_decay=0.0)
SETTINGS = RECIPES["bcnn/bcnn_dd@cub"].settings.model_copy(
    update={"stages": {}, "classifier": "softmax", "mirror": False}
)


NOTHING = Kernel("product", 0.0, 0.0)


def made(step=(), predict=(NOTHING,), trunk=(), features=()) -> RunKernels:
    stages = (StageKernels("only", STAGE, tuple(step), 0.0, 0.0, 0.0, features),) if step else ()
    return RunKernels(10, tuple(predict), tuple(trunk), stages, weight_bytes=0.0, dims=4)


def seconds(kernels, device=CPU, settings=SETTINGS, to_decode=0):
    return estimate(kernels, settings, SIZES, device, HOST, to_decode)


def test_a_kernel_takes_the_time_of_its_operations_or_of_its_bytes():
    assert CPU.seconds(Kernel("product", 200.0, 10.0), "fp32") == 2.0
    assert CPU.seconds(Kernel("product", 200.0, 5000.0), "fp32") == 5.0
    assert CPU.seconds(Kernel("product", 200.0, 10.0), "bf16") == 0.5
    assert CPU.seconds(Kernel("other", 0.0, 5000.0), "bf16") == 2.5
    slow = replace(CPU, backward_flop_per_s={"fp32": 1.0, "bf16": 1.0})
    assert slow.seconds(Kernel("convolution_backward", 200.0, 0.0), "fp32") == 200.0
    assert slow.seconds(Kernel("convolution", 200.0, 0.0), "fp32") == 2.0


def test_a_training_runs_its_step_for_every_batch_of_every_epoch():
    step = [Kernel("convolution", 100.0, 0.0), Kernel("other", 0.0, 1000.0)]
    expected = seconds(made(step))
    batches = 3 * 100 / 20
    tests = 50 / 10
    assert expected.part_s["arithmetic"] == pytest.approx(batches * 2.0)
    assert expected.part_s["launches"] == pytest.approx((batches * 2 + tests) * 0.5)
    half = SETTINGS.model_copy(update={"precision": "bf16-mixed"})
    assert seconds(made(step), settings=half).part_s["arithmetic"] == pytest.approx(batches * (0.25 + 0.5))


def test_fixed_blocks_are_faster_in_bfloat16():
    kernels = made([NOTHING])
    fixed = replace(kernels.stages[0], fixed=(Kernel("convolution", 100.0, 0.0),))
    kernels = replace(kernels, stages=(fixed,))
    half = SETTINGS.model_copy(update={"precision": "bf16-mixed"})
    full, faster = (seconds(kernels, settings=settings).part_s["arithmetic"] for settings in (SETTINGS, half))
    assert full == pytest.approx(4 * faster)
    assert full > 0


def test_frozen_networks_in_bfloat16_compute_features_vocabulary_descriptors_and_tests_faster():
    kernels = made([NOTHING], [Kernel("convolution", 1000.0, 0.0)], [Kernel("convolution", 100.0, 0.0)], (1, 1))
    kernels = replace(kernels, fits=True)
    svm = SETTINGS.model_copy(update={"classifier": "svm", "precision": "bf16-mixed"})
    slow, fast = (estimate(kernels, svm, SIZES, CPU, HOST, 0, bf16=bf16) for bf16 in (False, True))
    passes = (100 * 100.0 + (100 + 100 + 50) * 1000.0) / 10
    assert slow.part_s["arithmetic"] - fast.part_s["arithmetic"] == pytest.approx(passes / 100 - passes / 400)


@pytest.mark.parametrize(("key", "faster"), [("bcnn/bcnn_dd@cub", True), ("bcnn/fv_cnn_d@cub", False)])
def test_a_network_that_another_recipe_trains_is_not_estimated_as_frozen(key, faster):
    recipe = RECIPES[key]
    frozen = recipe.resolve("paper").model_copy(update={"stages": {}})
    half = frozen.model_copy(update={"precision": "bf16-mixed"})
    one, other = (official_cost(recipe, settings, CPU, HOST).part_s["arithmetic"] for settings in (frozen, half))
    assert (other < one) == faster


def test_launches_count_on_a_gpu_only_as_far_as_they_take_longer_than_the_work():
    assert seconds(made([Kernel("product", 1000.0, 0.0)], [Kernel("product", 100.0, 0.0)]), GPU).part_s["launches"] == 0
    slow = seconds(made([Kernel("product", 30.0, 0.0), NOTHING], [Kernel("product", 100.0, 0.0)]), GPU)
    assert slow.part_s["launches"] == pytest.approx(15 * (1.0 - 0.3))


def test_features_of_a_trunk_are_computed_and_written_once():
    trunk = [Kernel("convolution", 100.0, 0.0)]
    once = seconds(made([NOTHING], trunk=trunk, features=(1000, 10)))
    assert once.part_s["arithmetic"] == pytest.approx(100 / 10)
    assert once.part_s["writing"] > 4e4 * 100 / 1e6
    assert once.disk_mib > 4e4 * 100 / MIB


@pytest.mark.parametrize(("memory", "epochs", "storage"), [
    (1e12, 3, "GPU"), (40e9, 3, "GPU_BF16"), (20e9, 3, "FILE_BF16"), (20e9, 1, "RECOMPUTED"),
])  # fmt: skip
def test_features_are_where_the_training_keeps_them(memory, epochs, storage):
    """Features of 40 GB: only those in a file need a disk, and only those on the GPU need its memory."""
    kernels = made([NOTHING], trunk=[Kernel("convolution", 10 * 2.2e13, 0.0)], features=(int(1e8),))
    stage = replace(kernels.stages[0], stage=STAGE.model_copy(update={"epochs": epochs}))
    expected = seconds(replace(kernels, stages=(stage,)), replace(GPU, memory_bytes=memory))
    plain = seconds(made([NOTHING]), replace(GPU, memory_bytes=memory))
    passes = {"RECOMPUTED": epochs}.get(storage, 1)
    assert expected.part_s["arithmetic"] == pytest.approx(passes * 100 * 2.2e13 / 100)
    assert (expected.disk_mib - plain.disk_mib) * MIB == pytest.approx(20e9 if storage == "FILE_BF16" else 0)
    resident = {"GPU": 40e9, "GPU_BF16": 20e9}.get(storage, 0)
    images = plain.device_mib * MIB
    assert expected.device_mib * MIB == pytest.approx(resident or (0 if storage == "FILE_BF16" else images), abs=1e6)


def test_a_gpu_trains_while_checkpoints_are_written():
    kernels = replace(made([Kernel("product", 1e6, 0.0)]), weight_bytes=1e6)
    on_gpu, on_cpu = (seconds(kernels, device).part_s["writing"] for device in (GPU, CPU))
    assert on_cpu - on_gpu == pytest.approx(2 * 1e6 / HOST.disk_bytes_per_s)  # three epochs, and the last one


def test_images_that_are_decoded_already_are_only_read():
    all_of_them = seconds(made(), to_decode=None)
    assert all_of_them.phase_s["pixels"] == pytest.approx(150 / 10 + 150 * 3 * 448**2 / 1e6)
    assert seconds(made(), to_decode=0).phase_s["pixels"] == pytest.approx(150 * 3 * 448**2 / 1e6)


def test_images_stay_on_a_gpu_that_holds_them_and_else_come_in_every_epoch():
    step = [NOTHING]
    size = 100 * 3 * 448**2
    large, small = (replace(GPU, memory_bytes=m, transfer_bytes_per_s=1e3) for m in (4 * size, 4 * size - 1))
    more = seconds(made(step), small).part_s["feeding"] - seconds(made(step), large).part_s["feeding"]
    assert more == pytest.approx(2 * size / 1e3)


def test_the_svm_counts_descriptors_of_images_and_mirror_images():
    svm = SETTINGS.model_copy(update={"classifier": "svm", "mirror": True})
    expected = seconds(made(predict=[Kernel("product", 100.0, 0.0)]), settings=svm)
    assert expected.phase_s["descriptors"] > 2 * 100 / 10
    gram, weights, ascent = 200**2 * 4, 2 * 200 * 4 * 7, 2 * 30 * 200**2 * 7
    assert expected.part_s["svm"] == pytest.approx(max(gram / 100, 4 * 200 * 4 / 1e3) + weights / 100 + ascent / 100)
    assert "svm" not in seconds(made()).part_s


def test_phases_and_parts_are_two_divisions_of_one_sum():
    recipe = RECIPES["bcnn/bcnn_dd@cub"]
    sizes = Sizes(5994, 5794, 200)
    expected = estimate(run_kernels(recipe.method, recipe.settings, sizes), recipe.settings, sizes, CPU, HOST)
    assert sum(expected.part_s.values()) == pytest.approx(expected.wall_s)
    assert set(expected.phase_s) == {"pixels", "training", "descriptors", "svm", "test"}
    assert expected.device_mib is None


def test_b_cnn_d_d_takes_less_than_ten_minutes_on_an_h100_at_half_of_its_peaks():
    recipe = RECIPES["bcnn/bcnn_dd@cub"]
    settings = recipe.settings.model_copy(update={"precision": "bf16-mixed"})
    finetune = settings.stages["finetune"]
    assert (finetune.epochs, finetune.batch_size) == (45, 64)
    sizes = Sizes(5994, 5794, 200)
    kernels = run_kernels(recipe.method, settings, sizes)
    expected = estimate(kernels, settings, sizes, gpu_rates("h100"), ASSUMED_HOST)
    # The operations alone, at half of 989 TFLOP/s in training and of 67 TFLOP/s elsewhere.
    step, image = sum(k.flop for k in kernels.stages[1].step) / 64, sum(k.flop for k in kernels.predict) / 16
    least = 45 * 5994 * step / 494.5e12 + (3 * 5994 + 2 * 5794) * image / 33.5e12
    assert least < expected.part_s["arithmetic"] < expected.wall_s < 600
    assert set(expected.part_s) == {"arithmetic", "launches", "feeding", "writing", "svm"}
    assert 20 * 1024 < expected.device_mib < 80e9 / MIB


@pytest.mark.parametrize(("bf16", "expected"), [(True, 2.0), (False, 1.0)])
def test_rates_of_a_processor_in_bfloat16_follow_from_the_probe(bf16, expected, monkeypatch):
    monkeypatch.setattr(machine_rates, "bfloat16_gain", lambda *_: 2.0)
    monkeypatch.setattr(machine_rates, "measure_rates", lambda *_: Rates(10.0, 1.0, 7.0))
    monkeypatch.setattr(machine_rates, "_convolution_rates", lambda *_: (5.0, 3.0))
    rates = machine_rates.measure_device("cpu", 1, bf16)
    for flop_per_s in (rates.product_flop_per_s, rates.convolution_flop_per_s, rates.backward_flop_per_s):
        assert flop_per_s["bf16"] == expected * flop_per_s["fp32"]


def test_an_unknown_gpu_is_refused_with_the_nearest_name():
    with pytest.raises(FgbenchError, match="no rates of a GPU named 'h10'; did you mean 'h100'"):
        gpu_rates("h10")
