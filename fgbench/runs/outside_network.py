"""A trained network from outside: a checkpoint of another program, or a network that an earlier run kept."""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fgbench.backbones.state_dict import as_float32
from fgbench.records.external import EXTERNAL
from fgbench.records.kept_networks import read_network
from fgbench.util.errors import FgbenchError
from fgbench.util.hashing import hash_file, hash_value
from fgbench.util.json_toml import read_toml
from fgbench.util.placeholders import refuse_placeholder

NESTS = ("state_dict", "model_state_dict", "model", "net", "network", "module", "ema")
"""Keys under which programs save the tensors of a network."""
PREFIXES = ("module.", "_orig_mod.")
"""Beginnings of all names that torch adds for several GPUs and for compiled networks."""
Names = tuple[tuple[str, str], ...]
"""Pairs of the beginning of a name in the file, and what replaces it; an empty replacement leaves the tensors out."""


@dataclass(frozen=True, slots=True)
class OutsideNetwork:
    """The file of a trained network."""

    path: Path
    sha256: str
    """SHA-256 of the file."""
    title: str
    """Name of the result on pages."""
    result: str
    """Hash that is equal for the files of one result."""
    names: Names = ()
    """How names of the file are replaced."""

    def tensors(self) -> dict[str, Tensor]:
        """Read the tensors under the names of the method.

        Raises:
            FgbenchError: the file is damaged, contains other objects than tensors, or two tensors get one name.
        """
        return _renamed(_plain(read_checkpoint(self.path), self.path), self.names, self.path)

    def record_fields(self) -> dict[str, Any]:
        """Return the fields of the record that mark it as external."""
        external = {
            "what": "network",
            "name": self.title,
            "file": self.path.name,
            "sha256": self.sha256,
            "result": self.result,
        }
        return {"profile": EXTERNAL, "title": f"{self.title} ({EXTERNAL})", "external": external}


def outside_networks(paths: list[Path], recipe: str, title: str, names: Path | None) -> list[OutsideNetwork]:
    """Return the networks in some files of one result, which are its seeds.

    Args:
        paths: the files.
        recipe: key of the recipe.
        title: name of the result; empty for the name of the first file.
        names: TOML file with the table `names`; None if the names are those of the method.

    Raises:
        FgbenchError: a file is missing, or `names` is not such a file.
    """
    try:
        hashes = [hash_file(path) for path in paths]
    except OSError as error:
        raise FgbenchError(f"{error.filename} cannot be read: {error.strerror}", "name a checkpoint") from error
    pairs = read_names(names) if names else ()
    title = title or paths[0].name
    result = hash_value([recipe, title, hashes, pairs])
    return [OutsideNetwork(path, sha, title, result, pairs) for path, sha in zip(paths, hashes, strict=True)]


def read_names(path: Path) -> Names:
    """Read the table `names` of a TOML file: beginning of a name in the checkpoint = what replaces it.

    Raises:
        FgbenchError: the file has no such table, or a value is not a text.
    """
    table = read_toml(path).get("names")
    if not isinstance(table, dict) or not all(isinstance(value, str) for value in table.values()):
        raise FgbenchError(
            f"{path} has no table of names", 'write [names] and lines such as "features." = "streams.0."'
        )
    return tuple(table.items())


def read_checkpoint(path: Path) -> Mapping[str, Any]:
    """Read a .safetensors file, or a file of torch without running code from it.

    Raises:
        FgbenchError: the file is damaged or contains other objects than tensors, numbers and texts.
    """
    refuse_placeholder(path)
    if path.suffix == ".safetensors":
        return read_network(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise FgbenchError(
            f"{path} contains objects other than tensors, or is damaged",
            "save only its tensors: torch.save(model.state_dict(), PATH)",
        ) from error
    except Exception as error:  # damaged bytes can raise any error
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise FgbenchError(f"{path} cannot be read as a checkpoint: {first}", "save it again") from error
    if not isinstance(content, Mapping):
        raise FgbenchError(
            f"{path} holds a {type(content).__name__}, not a dictionary of tensors",
            "torch.save(model.state_dict(), PATH)",
        )
    return content


def _plain(content: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    """Return the tensors without nesting and without prefixes of torch, as float32 or integers."""
    while nested := next((content[key] for key in NESTS if isinstance(content.get(key), Mapping)), None):
        content = nested
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if not tensors:
        raise FgbenchError(
            f"{path} has no tensors; it has {', '.join(map(str, list(content)[:5])) or 'nothing'}",
            "torch.save(model.state_dict(), PATH)",
        )
    while prefix := next((p for p in PREFIXES if all(name.startswith(p) for name in tensors)), ""):
        tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return {name: as_float32(value) for name, value in tensors.items()}


def _renamed(tensors: dict[str, Tensor], names: Names, path: Path) -> dict[str, Tensor]:
    """Return tensors under new names; of several beginnings that fit, the longest counts."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        old, new = max(
            (pair for pair in names if name.startswith(pair[0])), key=lambda pair: len(pair[0]), default=("", None)
        )
        if new == "":
            continue
        target = name if new is None else new + name.removeprefix(old)
        if target in renamed:
            raise FgbenchError(f"two tensors of {path} get the name {target}", "correct the table of names")
        renamed[target] = tensor
    return renamed
