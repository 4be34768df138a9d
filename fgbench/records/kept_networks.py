"""Trained networks in a results folder: `networks/<hash>.safetensors`, with a card `<hash>.json` beside it.

The name is the beginning of the SHA-256 of the file. A record names this hash.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from fgbench.records.store import Store, store_of
from fgbench.util.errors import FgbenchError
from fgbench.util.files import write_bytes, write_json
from fgbench.util.hashing import ID_LENGTH, hash_file

NETWORKS = "networks"
"""Name of the folder of networks in a results folder."""
SAME_AS = "same_as"
"""Key of the metadata: JSON of name -> other name of the same tensor, under which it is written."""


def network_path(results: Path, sha256: str) -> Path:
    """Return the path of a kept network."""
    return results / NETWORKS / f"{sha256[:ID_LENGTH]}.safetensors"


def keep_network(results: Path, tensors: Mapping[str, Tensor], card: Mapping[str, Any]) -> str:
    """Write a network and its card, each atomically.

    Args:
        results: results folder.
        tensors: the tensors by name. One tensor with several names is written once.
        card: JSON object that describes the network.

    Returns:
        SHA-256 of the file.

    Raises:
        FgbenchError: the disk is full, or the folder cannot be written.
    """
    kept: dict[str, Tensor] = {}
    same_as: dict[str, str] = {}
    first: dict[int, str] = {}
    for name, tensor in tensors.items():
        other = first.setdefault(id(tensor), name)
        if other == name:
            kept[name] = tensor.detach().cpu().contiguous()
        else:
            same_as[name] = other
    # One entry of metadata only: safetensors writes several in random order.
    content = safetensors.torch.save(kept, {SAME_AS: json.dumps(same_as, sort_keys=True)})
    sha256 = hashlib.sha256(content).hexdigest()
    path = network_path(results, sha256)
    write_bytes(path, content)
    write_json(path.with_suffix(".json"), {**card, "sha256": sha256})
    return sha256


def read_network(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a kept network, under all their names.

    Raises:
        FgbenchError: the file is missing or damaged.
    """
    try:
        tensors = safetensors.torch.load_file(path)
        with safetensors.safe_open(path, "pt") as file:
            same_as = json.loads((file.metadata() or {}).get(SAME_AS, "{}"))
        return tensors | {name: tensors[other] for name, other in same_as.items()}
    except FileNotFoundError as error:
        raise FgbenchError(f"there is no network {path}", "name a kept network") from error
    except (OSError, ValueError, KeyError, safetensors.SafetensorError) as error:
        raise FgbenchError(f"{path} is not a network in the format safetensors: {error}") from error


def unnamed_networks(results: Path) -> list[Path]:
    """Return the networks that no record names, neither as its own nor as the one from which it started.

    A run that was trained again, an interrupted run and a record that was deleted by hand leave them. If a record
    cannot be parsed, no network is returned, because the record may name it.
    """
    named = set()
    for path in store_of(results).folder.glob("[!.]*.json"):
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            start = fields.get("starts_from") or {}
            named |= {str(fields.get("network_sha256", "")), str(start.get("network_sha256", ""))}
        except (OSError, ValueError, AttributeError):
            return []
    files = {network_path(results, sha256) for sha256 in named if sha256}
    return sorted(path for path in (results / NETWORKS).glob("[!.]*.safetensors") if path not in files)


def unnamed_text(path: Path) -> str:
    """Return a sentence on a network that no record names."""
    return f"{path} is the network of no record: delete it and its card {path.with_suffix('.json').name}"


def kept_network(store: Store, run_id: str) -> str:
    """Return the SHA-256 of the network of a run; empty if there is no record, no network, or the record is damaged."""
    try:
        return store.read(run_id).network_sha256
    except FgbenchError:
        return ""


def remove_replaced(results: Path, sha256: str) -> None:
    """Remove a network and its card if no record names it; `sha256` may be empty."""
    path = network_path(results, sha256)
    if sha256 and path in unnamed_networks(results):
        path.unlink(missing_ok=True)
        path.with_suffix(".json").unlink(missing_ok=True)


def network_problem(results: Path, sha256: str) -> str:
    """Return what is wrong with a kept network, without its subject; empty if nothing is, or if it is not here."""
    path = network_path(results, sha256)
    try:
        if not path.exists() or hash_file(path) == sha256:
            return ""
    except OSError as error:
        return f"{path.name} cannot be read: {error.strerror or error}"
    return f"{path.name} is not the file that was written with the record"
