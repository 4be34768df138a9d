"""Weight files that are not what their name says: other networks, codes of quantized networks, damaged values."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from frozen_runs import frozen_run
from refusals import refused
from safetensors.torch import save_file
from stored_records import write_record
from torch import Tensor

from fgbench.backbones import WeightSpec, load_backbone, timm_weights, weight_specs
from fgbench.judge.recomputed import hidden_deviations
from fgbench.runs.outside_network import OutsideNetwork
from fgbench.runs.streams import resolve_stream
from fgbench.runs.trained_state import check_names
from fgbench.util.errors import FgbenchError

NETWORK = "timm/test_resnet"
FILTERS = "layer1.0.conv1.weight"
FORMATS = (".safetensors", ".pth")
State = dict[str, Tensor]
pytestmark = pytest.mark.usefixtures("folders")


def state_of() -> State:
    import timm  # after fgbench, which makes it work without a GPU

    with torch.random.fork_rng():
        torch.manual_seed(0)
        return timm.create_model("test_resnet").state_dict()


def write(path: Path, state: State) -> Path:
    if path.suffix == ".safetensors":
        save_file({name: value.contiguous() for name, value in state.items()}, path)
    else:
        torch.save(state, path)
    return path


CODES: dict[str, Callable[[Tensor], Tensor]] = {
    "int8": lambda value: (value * 100).to(torch.int8),
    "uint8": lambda value: (value * 100).to(torch.uint8),
    "int64": lambda value: (value * 100).long(),
    "bool": lambda value: value > 0,
    "float8_e4m3fn": lambda value: (value * 448).to(torch.float8_e4m3fn),
    "float8_e5m2": lambda value: (value * 448).to(torch.float8_e5m2),
    "complex64": lambda value: value.to(torch.complex64),
}


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("kind", CODES)
def test_codes_are_not_taken_for_weights(folders: Path, kind: str, suffix: str) -> None:
    """A quantized file keeps the names and shapes of the network; its codes without their scale load without a word.

    Reports: https://github.com/huggingface/transformers/issues/47145, https://github.com/Lightricks/LTX-2/pull/172
    """
    state = state_of()
    path = write(folders / f"test_resnet{suffix}", state | {FILTERS: CODES[kind](state[FILTERS])})
    refused(lambda: load_backbone(NETWORK, "pool"), str(path), FILTERS, kind)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_tensor_of_torch_quantization_is_not_a_weight(folders: Path) -> None:
    """A file of a network that torch quantized holds tensors of qint8 under the names of the float network.

    Report: https://github.com/pytorch/pytorch/issues/32691
    """
    state = state_of()
    codes = torch.quantize_per_tensor(state[FILTERS], 0.1, 0, torch.qint8)
    write(folders / "test_resnet.pth", state | {FILTERS: codes})
    refused(lambda: load_backbone(NETWORK, "pool"), FILTERS, "qint8")


def test_a_sparse_tensor_is_named(folders: Path) -> None:
    """A pruned network may be saved with sparse tensors, which a layer cannot take over."""
    state = state_of()
    write(folders / "test_resnet.pth", state | {FILTERS: state[FILTERS].to_sparse()})
    refused(lambda: load_backbone(NETWORK, "pool"), FILTERS, "sparse")


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float64"])
def test_other_floats_are_converted_and_told(
    folders: Path, kind: str, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file in half precision, as it is often shared, is used as float32; the user is told once."""
    state = {name: value * 1 for name, value in state_of().items()}
    halves = {name: value.to(getattr(torch, kind)) for name, value in state.items() if value.is_floating_point()}
    path = write(folders / f"test_resnet{suffix}", state | halves)
    backbone = load_backbone(NETWORK, "pool")
    load_backbone(NETWORK, "pool")
    assert all(value.dtype == torch.float32 for value in backbone.parameters())
    assert capsys.readouterr().err == f"fgbench: {path} has {len(halves)} tensors of {kind}, used as float32\n"


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_file_of_a_larger_network_is_refused(folders: Path, suffix: str) -> None:
    """A ResNet-34 has all layers of a ResNet-18 and more: under its name, it gives other outputs without an error.

    Report of layers that are ignored: https://github.com/pytorch/examples/issues/1029
    """
    state = state_of()
    deeper = {name.replace("layer4.0", "layer4.7"): value for name, value in state.items() if "layer4.0" in name}
    path = write(folders / f"test_resnet{suffix}", state | {name: value * 1 for name, value in deeper.items()})
    refused(lambda: load_backbone(NETWORK, "pool"), str(path), f"it has {len(deeper)} tensors more, layer4.7")


def test_the_classifier_of_a_file_may_be_any(folders: Path) -> None:
    """A network that was trained on other classes has another last layer, which no tap uses."""
    state = state_of()
    features = state["fc.weight"].shape[1]
    write(folders / "test_resnet.pth", state | {"fc.weight": torch.ones(200, features), "fc.bias": torch.ones(200)})
    assert load_backbone(NETWORK, "pool").channels == features


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    ("value", "message"), [(0.0, "consists of zeros"), (np.nan, "not finite"), (np.inf, "not finite")]
)
def test_zeros_and_values_that_are_not_finite_are_refused(
    folders: Path, value: float, message: str, suffix: str
) -> None:
    """An interrupted copy or a failed save leaves tensors of zeros; a diverged training leaves NaN."""
    state = state_of()
    write(folders / f"test_resnet{suffix}", state | {FILTERS: torch.full_like(state[FILTERS], value)})
    refused(lambda: load_backbone(NETWORK, "pool"), FILTERS, message)


def test_a_checkpoint_with_its_tensors_in_a_field_is_named(folders: Path) -> None:
    """A training program saves its network in the field `state_dict` beside the epoch."""
    torch.save({"state_dict": state_of(), "epoch": 3}, folders / "test_resnet.pth")
    refused(lambda: load_backbone(NETWORK, "pool"), "whose tensors are in the field 'state_dict'")


def test_a_checkpoint_without_a_field_of_tensors_is_refused(folders: Path) -> None:
    torch.save({"epoch": 3, "state": {"step": 7}}, folders / "test_resnet.pth")
    refused(lambda: load_backbone(NETWORK, "pool"), "not a dictionary of tensors")


@pytest.mark.parametrize("prefix", ["module.", "backbone.body."])
def test_a_prefix_of_all_names_is_named(folders: Path, prefix: str) -> None:
    """`DataParallel` saves every name after `module.`: the file was said to be of another network."""
    torch.save({prefix + name: value for name, value in state_of().items()}, folders / "test_resnet.pth")
    refused(lambda: load_backbone(NETWORK, "pool"), f"has no 'conv1.0.weight', but '{prefix}conv1.0.weight'")


def test_a_timm_file_without_a_known_hash_is_a_deviation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any file with the name of a model of timm was recorded as the official one, here one of random weights."""
    run = frozen_run(tmp_path, monkeypatch, "bcnn_mm")
    (stream,) = {stream.network: stream for stream in run.streams}.values()
    assert not stream.official
    (deviation,) = [deviation for deviation in run.deviations if deviation.field.startswith("weights.")]
    assert deviation.changes_experiment
    assert deviation.recipe == "the published weights of timm/test_resnet"
    assert f"not verified: {stream.sha256[:16]} is not a published hash" in deviation.run
    fields = run.record_fields()
    assert [entry["official"] for entry in fields["weights"]] == [False] * len(fields["weights"])


def test_a_timm_file_with_the_published_digits_is_official(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address of a model of timm ends in the first digits of the SHA-256 of its file."""
    path = write(folders / "test_resnet.pth", state_of())
    digits = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    for known, official in ((digits, True), ("0" * 8, False)):
        config = SimpleNamespace(url=f"https://x.org/test_resnet_a-{known}.pth", hf_hub_id=None, classifier="fc")
        monkeypatch.setattr(timm_weights, "_config", lambda network, config=config: config)
        assert resolve_stream(f"{NETWORK}:pool", ()).official == official
        assert resolve_stream(f"{NETWORK}:pool", ()).original == official


def test_a_timm_file_from_the_cache_of_hugging_face_is_official(folders: Path) -> None:
    """The cache of Hugging Face names a file by its SHA-256; a file that was changed there is not official."""
    whole = write(folders / "whole.safetensors", state_of()).read_bytes()
    repository = folders / "hub" / "models--timm--test_resnet.r160_in1k"
    blob = repository / "blobs" / hashlib.sha256(whole).hexdigest()
    snapshot = repository / "snapshots" / "abc"
    for folder in (blob.parent, snapshot, repository / "refs"):
        folder.mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    blob.write_bytes(whole)
    (snapshot / "model.safetensors").symlink_to(blob)
    assert resolve_stream(f"{NETWORK}:pool", ()).official
    # The same file in a folder of weights has the same hash.
    (folders / "test_resnet.safetensors").write_bytes(whole)
    assert resolve_stream(f"{NETWORK}:pool", ()).official
    (folders / "test_resnet.safetensors").unlink()
    blob.write_bytes(whole[:-1] + b"\x01")
    assert not resolve_stream(f"{NETWORK}:pool", ()).official


def test_a_known_file_without_a_hash_is_not_official(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A weight file of another package may have no published hash; then nothing says that it is the file."""
    spec = WeightSpec("vgg16.mine", "vgg16", ("mine.pth",), "pth", None, ("relu5_3",))
    monkeypatch.setitem(weight_specs._objects, spec.name, spec)
    (folders / "mine.pth").write_bytes(b"anything")
    stream = resolve_stream("vgg16:relu5_3", (spec.name,))
    assert not stream.official
    assert not stream.original


def test_a_record_with_unverified_weights_is_not_comparable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdict of a run with unverified weights names them, also if the deviation is missing in the record."""
    run = frozen_run(tmp_path, monkeypatch, "bcnn_mm")
    fields = {name: run.record_fields()[name] for name in ("recipe", "method", "settings", "weights")}
    record = write_record(tmp_path / "records", **fields)
    assert "weights.0" in {deviation.field for deviation in hidden_deviations(record, run.recipe)}


@pytest.mark.parametrize("kind", ["int8", "bool", "float8_e4m3fn", "complex64"])
def test_codes_in_a_checkpoint_from_outside_are_refused(folders: Path, kind: str) -> None:
    """The checkpoint of another program may hold codes, too; they were copied into the float network."""
    expected = {"fc.weight": torch.randn(4, 3)}
    path = write(folders / "mine.pth", {"fc.weight": CODES[kind](expected["fc.weight"])})
    tensors = OutsideNetwork(path, "0" * 64, "mine", "0" * 16).tensors()
    with pytest.raises(FgbenchError, match=re.escape(f"1 tensor of another type: fc.weight {kind} instead of float32")):
        check_names(expected, tensors)


def test_nan_in_a_checkpoint_from_outside_is_refused(folders: Path) -> None:
    """A diverged training ends in a checkpoint of NaN."""
    path = write(folders / "mine.safetensors", {"fc.weight": torch.full((4, 3), np.nan)})
    tensors = OutsideNetwork(path, "0" * 64, "mine", "0" * 16).tensors()
    with pytest.raises(FgbenchError, match=r"1 tensor with values that are not finite: fc\.weight"):
        check_names({"fc.weight": torch.ones(4, 3)}, tensors)
