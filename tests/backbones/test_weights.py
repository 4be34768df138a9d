"""Search, identification, verification and reading of weight files."""

import hashlib
import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from fgbench.backbones import WeightSpec, find_weights, get_weights, known_weights, weight_specs, weights
from fgbench.backbones.spec import IMAGENET
from fgbench.backbones.state_dict import load_into, read_state
from fgbench.util.errors import FgbenchError, MissingError

CONTENT = b"weights"


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FGBENCH_WEIGHTS", os.pathsep.join([str(tmp_path / "a"), str(tmp_path / "b")]))
    for name in ("a", "b", "cache/weights"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


@pytest.fixture
def specs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register three weight files of a network `net`; one of them has no checksum."""
    digests = {"net.one": hashlib.sha256(CONTENT).hexdigest()[:8], "net.two": hashlib.sha256(b"two").hexdigest()}
    for name in ("net.one", "net.two", "net.free"):
        spec = WeightSpec(
            name, "net", (f"{name}.pth", f"{name}.pt"), "pth", IMAGENET, ("conv",), sha256=digests.get(name, "")
        )
        monkeypatch.setitem(weight_specs._objects, name, spec)


@pytest.mark.usefixtures("specs")
def test_the_first_folder_comes_first(folders: Path) -> None:
    for folder in ("cache/weights", "b", "a"):
        (folders / folder / "net.one.pt").write_bytes(CONTENT)
        file = find_weights("net", "conv")
        assert file.path == folders / folder / "net.one.pt"
        assert file.spec.name == "net.one"
        assert file.sha256 == hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.usefixtures("specs")
def test_accepted_files_are_in_order_of_preference(folders: Path) -> None:
    (folders / "a" / "net.one.pth").write_bytes(CONTENT)
    (folders / "b" / "net.free.pth").write_bytes(CONTENT)
    assert find_weights("net", "conv", ("net.free", "net.one")).spec.name == "net.free"
    assert find_weights("net", "conv", ("net.two", "net.one")).spec.name == "net.one"
    with pytest.raises(MissingError):
        find_weights("net", "conv", ("net.two",))


@pytest.mark.usefixtures("specs")
def test_a_given_file_is_identified_by_name_or_content(folders: Path) -> None:
    named = folders / "net.free.pth"
    named.write_bytes(b"anything")
    assert find_weights("net", "conv", (), named).spec.name == "net.free"
    renamed = folders / "download(1)"
    renamed.write_bytes(CONTENT)
    assert find_weights("net", "conv", (), renamed).spec.name == "net.one"
    renamed.write_bytes(b"other")
    with pytest.raises(FgbenchError, match="not a known weight file of net"):
        find_weights("net", "conv", (), renamed)
    assert find_weights("net", "conv", ("net.free",), renamed).spec.name == "net.free"
    with pytest.raises(FgbenchError, match=r"is not net\.two"):
        find_weights("net", "conv", ("net.two",), renamed)
    with pytest.raises(FgbenchError, match="has weights only for conv, not for fc"):
        find_weights("net", "fc", (), named)
    with pytest.raises(MissingError, match="no weight file"):
        find_weights("net", "conv", (), folders / "none")


@pytest.mark.usefixtures("specs")
def test_a_file_with_another_hash_is_an_error(folders: Path) -> None:
    (folders / "a" / "net.one.pth").write_bytes(b"something else")
    with pytest.raises(FgbenchError, match=r"is not net\.one: its SHA-256 starts with"):
        find_weights("net", "conv")


def test_the_error_for_missing_weights_names_files_and_folders(folders: Path) -> None:
    with pytest.raises(MissingError) as caught:
        find_weights("vgg16", "relu7", ("vgg16.caffe", "vgg16.matconvnet", "vgg16.torchvision", "vggm.matconvnet"))
    assert caught.value.what == "weights"
    message = str(caught.value)
    for part in ("imagenet-vgg-verydeep-16.mat", "vgg16-397923af.pth", str(folders / "a"), str(folders / "cache")):
        assert part in message
    assert "safetensors" not in message  # the safetensors file has no fc7
    assert caught.value.hint == "fgbench weights get vgg16.matconvnet"


def test_every_edition_of_a_mat_file_is_known_by_its_md5(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = hashlib.md5(CONTENT).hexdigest()
    spec = WeightSpec("net.mat", "net", ("net.mat",), "matconvnet", None, ("conv",), md5=("0" * 32, old))
    monkeypatch.setitem(weight_specs._objects, "net.mat", spec)
    (folders / "a" / "net.mat").write_bytes(CONTENT)
    assert find_weights("net", "conv").sha256 == hashlib.sha256(CONTENT).hexdigest()
    (folders / "a" / "net.mat").write_bytes(b"other")
    with pytest.raises(FgbenchError, match="its MD5 is"):
        find_weights("net", "conv")


def test_a_file_of_another_size_is_not_hashed(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folders / "a" / "squeezenet1_1.safetensors").write_bytes(CONTENT)
    monkeypatch.setattr(weights, "cached_hash", lambda *args: pytest.fail("hashed"))
    with pytest.raises(FgbenchError, match="it has 7 bytes; the published file has 4946912"):
        find_weights("squeezenet1_1", "pool")


def test_hashes_are_cached_until_the_file_changes(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folders / "file"
    path.write_bytes(CONTENT)
    first = weights.cached_hash(path)
    monkeypatch.setattr(hashlib, "file_digest", lambda *args: pytest.fail("hashed again"))
    assert weights.cached_hash(path) == first
    monkeypatch.undo()
    monkeypatch.setenv("FGBENCH_CACHE", str(folders / "cache"))
    path.write_bytes(b"other12")
    os.utime(path, ns=(1, 1))
    assert weights.cached_hash(path) == hashlib.sha256(b"other12").hexdigest()
    cache_file = folders / "cache" / "hashes" / "weight_files.json"
    assert len(json.loads(cache_file.read_text())) == 3  # two hashes and the checksum of the file
    cache_file.write_text("{")
    assert weights.cached_hash(path) == hashlib.sha256(b"other12").hexdigest()
    path.write_bytes(b"third12")
    os.utime(path, ns=(1, 1))  # the same size and time
    assert weights.cached_hash(path) == hashlib.sha256(b"third12").hexdigest()


def test_damaged_hashes_are_named_and_computed_again(
    folders: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FGBENCH_CACHE", str(folders / "cache"))
    path = folders / "file"
    path.write_bytes(CONTENT)
    digest = weights.cached_hash(path)
    cache_file = folders / "cache" / "hashes" / "weight_files.json"
    cache_file.write_text(cache_file.read_text().replace(digest[:8], "00000000"))
    assert weights.cached_hash(path) == digest
    assert f"{cache_file} is damaged (its checksum is wrong)" in capsys.readouterr().err
    # A cache that cannot be written.
    cache_file.unlink()
    (folders / "file.cache").touch()
    monkeypatch.setenv("FGBENCH_CACHE", str(folders / "file.cache"))
    assert weights.cached_hash(path) == digest


def test_get_downloads_from_the_official_address_or_a_mirror(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[tuple[str, Path, dict[str, object]]] = []

    def fetch(url: str, path: Path, **checks: object) -> Path:
        requests.append((url, path, checks))
        return path

    monkeypatch.setattr(weights, "fetch", fetch)
    path = folders / "cache" / "weights" / "imagenet-vgg-m.mat"
    assert get_weights("vggm.matconvnet") == path
    md5 = "29294d5f62578c96a3533859514235f2"
    url = "https://www.vlfeat.org/matconvnet/models/imagenet-vgg-m.mat"
    assert requests == [(url, path, {"sha256": None, "md5": md5, "size": None})]
    monkeypatch.setenv("FGBENCH_URL_WEIGHTS", "http://mirror/")
    get_weights("vgg16.torchvision")
    assert requests[-1][0] == "http://mirror/vgg16-397923af.pth"
    assert requests[-1][2]["sha256"] == "397923af"
    with pytest.raises(FgbenchError, match="no download address") as caught:
        get_weights("vgg16.caffe")
    assert caught.value.hint == "fgbench weights get vgg16.matconvnet"
    with pytest.raises(FgbenchError, match=r"did you mean 'vggm.matconvnet'"):
        get_weights("vggm.matcovnet")


@pytest.mark.usefixtures("specs")
def test_get_returns_a_local_file(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "fetch", lambda *args, **checks: pytest.fail("fetched"))
    (folders / "b" / "net.one.pth").write_bytes(CONTENT)
    assert get_weights("net.one") == folders / "b" / "net.one.pth"
    is_here = {row["name"]: row["here"] for row in known_weights()}
    assert is_here["net.one"]
    assert not is_here["net.two"]


def test_read_state(tmp_path: Path) -> None:
    state = {"w": torch.ones(2, dtype=torch.float16), "n": torch.tensor(3)}
    save_file(state, tmp_path / "s.safetensors")
    torch.save(state, tmp_path / "s.pth")
    for name in ("s.safetensors", "s.pth"):
        read = read_state(tmp_path / name)
        assert read["w"].dtype == torch.float32
        assert read["w"].tolist() == [1, 1]
        assert read["n"] == 3


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch harm",)


def test_files_that_are_not_weights_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_file({"w": torch.ones(100)}, "good.safetensors")
    torch.save({"w": torch.ones(100)}, "good.pth")
    for name in ("good.safetensors", "good.pth"):
        content = Path(name).read_bytes()
        for damaged in (content[:-50], content[:5], b"", b"<html>sorry</html>" * 20):
            Path(name).write_bytes(damaged)
            with pytest.raises(FgbenchError, match=name):
                read_state(Path(name))
    torch.save({"w": Malicious()}, "harm.pth")
    with pytest.raises(FgbenchError, match="objects other than tensors"):
        read_state(Path("harm.pth"))
    Path("harm.pt").write_bytes(pickle.dumps(Malicious(), protocol=2))
    with pytest.raises(FgbenchError):
        read_state(Path("harm.pt"))
    assert not Path("harm").exists()
    torch.save([1], "list.pth")
    with pytest.raises(FgbenchError, match="not a dictionary"):
        read_state(Path("list.pth"))


def test_load_into_names_the_weight_that_does_not_fit() -> None:
    layer, path = nn.Linear(3, 2), Path("net.pth")
    state = {"weight": torch.ones(2, 3), "bias": torch.ones(2), "more": torch.ones(1)}
    load_into(layer, state, path)
    assert layer.bias.tolist() == [1, 1]
    for change, message in (
        ({"weight": torch.ones(3, 2)}, r"'weight' has the shape \(3, 2\); the network needs \(2, 3\)"),
        ({"bias": torch.tensor([1.0, float("nan")])}, "'bias' has values that are not finite"),
    ):
        with pytest.raises(FgbenchError, match=message):
            load_into(layer, state | change, path)
    with pytest.raises(FgbenchError, match="no 'bias'"):
        load_into(layer, {"weight": torch.ones(2, 3)}, path)
