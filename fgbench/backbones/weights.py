"""Weight files: found, fetched, verified and read, never unpickled."""

import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fgbench.backbones.spec import FoundWeights, WeightSpec, weight_specs
from fgbench.download import fetch
from fgbench.errors import FgbenchError, MissingError
from fgbench.files import cache_folder, write_json
from fgbench.hashing import hash_file


def weight_folders() -> list[Path]:
    """Where weight files are looked for: FGBENCH_WEIGHTS, then the download cache."""
    own = [Path(part).expanduser() for part in os.environ.get("FGBENCH_WEIGHTS", "").split(os.pathsep) if part]
    return [*own, cache_folder() / "weights"]


def find_file(names: tuple[str, ...]) -> Path | None:
    """The first file with one of these names in the weight folders."""
    places = (folder / name for folder in weight_folders() for name in names)
    return next((place for place in places if place.is_file()), None)


def find_weights(network: str, tap: str, accepted: tuple[str, ...] = ()) -> FoundWeights:
    """A weight file here that has the layers of `network` up to `tap`.

    Args:
        network: such as `vgg16`.
        tap: the layer wanted.
        accepted: names of weight files in order of preference; empty for any that is known.

    Raises:
        MissingError: none is here; the hint is the command that would get the first that has an address.
        FgbenchError: a file is not what its name says.
    """
    names = [name for name in accepted or tuple(weight_specs) if weight_specs[name].network == network]
    specs = [spec for spec in map(weight_specs.__getitem__, names) if tap in spec.taps]
    for spec in specs:
        if path := find_file(spec.files):
            return FoundWeights(spec, path, _verified(spec, path))
    wanted = ", ".join(file for spec in specs for file in spec.files) or f"a file for {network}:{tap}"
    folders = " or ".join(map(str, weight_folders()))
    get = next((spec.name for spec in specs if spec.url), "")
    hint = f"fgbench weights get {get}" if get else f"put one there, or set FGBENCH_WEIGHTS (networks: {network})"
    raise MissingError("weights", f"{network} up to {tap} needs one of {wanted} in {folders}", hint)


def get_weights(name: str) -> Path:
    """Download a weight file from its official address into the cache, unless it is here.

    Raises:
        FgbenchError: it has no address, or the download fails or is not the published file.
    """
    spec = weight_specs[name]
    if here := find_file(spec.files):
        _verified(spec, here)
        return here
    if not spec.url:
        others = [s.name for s in map(weight_specs.__getitem__, weight_specs) if s.network == spec.network and s.url]
        raise FgbenchError(
            f"{name} has no address to download from; put {spec.files[0]} into FGBENCH_WEIGHTS",
            f"fgbench weights get {others[0]}" if others else "",
        )
    url = os.environ.get("FGBENCH_URL_WEIGHTS", "").rstrip("/")
    address = f"{url}/{spec.files[0]}" if url else spec.url
    return fetch(address, cache_folder() / "weights" / spec.files[0], sha256=spec.sha256)


def known_weights() -> list[dict[str, Any]]:
    """Every weight file as plain values."""
    specs = [weight_specs[name] for name in weight_specs]
    return [{"name": s.name, "file": s.files[0], "here": find_file(s.files) is not None, "note": s.note} for s in specs]


def remembered_hash(path: Path) -> str:
    """SHA-256 of a large file, computed once for its size and modification time."""
    status = path.stat()
    stamp = f"{path.resolve()}:{status.st_size}:{status.st_mtime_ns}"
    memory = cache_folder() / "hashes" / "weights.json"
    known: dict[str, str] = json.loads(memory.read_text()) if memory.is_file() else {}
    if stamp not in known:
        known[stamp] = hash_file(path)
        write_json(memory, known)
    return known[stamp]


def _verified(spec: WeightSpec, path: Path) -> str:
    digest = remembered_hash(path)
    if not digest.startswith(spec.sha256):
        raise FgbenchError(
            f"{path} is not {spec.name}: its SHA-256 begins {digest[:8]}, that of the published file {spec.sha256[:8]}",
            "delete it and get it again" + (f": fgbench weights get {spec.name}" if spec.url else ""),
        )
    return digest


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors or .pth file, floats as float32.

    Raises:
        FgbenchError: the file is truncated, holds anything but tensors, or is of another format.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise FgbenchError(f"{path} cannot be read as weights: {_first(error)}", "get the file again") from error
    except Exception as error:  # torch raises pickle.UnpicklingError for anything but tensors
        if type(error).__name__ != "UnpicklingError":
            raise
        raise FgbenchError(f"{path} holds more than tensors and is not loaded: {_first(error)}") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise FgbenchError(f"{path} is not a dictionary of tensors")
    return {name: value.float() if value.is_floating_point() else value for name, value in state.items()}


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def load_into(module: nn.Module, state: dict[str, Tensor], source: Path) -> None:
    """Put weights into a module that may have fewer layers than the file.

    Raises:
        FgbenchError: a weight is missing or of another shape; names it and both shapes.
    """
    own = module.state_dict()
    for name, value in own.items():
        if name.endswith("num_batches_tracked"):
            continue
        if name not in state:
            raise FgbenchError(f"{source} has no {name!r}", "is it a weight file of this network?")
        if state[name].shape != value.shape:
            raise FgbenchError(
                f"{source}: {name!r} has the shape {tuple(state[name].shape)}, the network's is {tuple(value.shape)}"
            )
    module.load_state_dict({name: state.get(name, value) for name, value in own.items()})
