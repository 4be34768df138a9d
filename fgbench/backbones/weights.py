"""Weight files: found, fetched and verified."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from fgbench.backbones.spec import FoundWeights, WeightSpec
from fgbench.backbones.weight_files import weight_specs
from fgbench.util.download import fetch
from fgbench.util.errors import FgbenchError, MissingError
from fgbench.util.files import cache_folder, write_json


def weight_folders() -> list[Path]:
    """Where weight files are looked for: the folders of FGBENCH_WEIGHTS, then the download cache."""
    own = [Path(part).expanduser() for part in os.environ.get("FGBENCH_WEIGHTS", "").split(os.pathsep) if part]
    return [*own, _downloads()]


def _downloads() -> Path:
    return cache_folder() / "weights"


def find_file(names: tuple[str, ...]) -> Path | None:
    """The first file with one of these names in the weight folders."""
    places = (folder / name for folder in weight_folders() for name in names)
    return next((place for place in places if place.is_file()), None)


def find_weights(network: str, tap: str, accepted: tuple[str, ...] = (), path: Path | None = None) -> FoundWeights:
    """A weight file here that has the layers of `network` up to `tap`.

    Args:
        network: such as `vgg16`.
        tap: the layer wanted.
        accepted: names of weight files in order of preference; empty for any that is known.
        path: a file to take instead of looking for one; it is the one of `accepted` that it is named like, or whose
            content it has, or else the only one of them.

    Raises:
        MissingError: none is here; the hint is the command that gets the first one with an address.
        FgbenchError: a file is not what its name says, or not known, or has no weights for the tap.
    """
    names = [name for name in accepted or tuple(weight_specs) if weight_specs[name].network == network]
    if path is not None:
        spec = _identified(path, [weight_specs[name] for name in names], network)
        if tap not in spec.taps:
            raise FgbenchError(f"{path} is {spec.name}, which has no weights for {tap}: only {', '.join(spec.taps)}")
        return FoundWeights(spec, path, _verified(spec, path))
    specs = [spec for spec in map(weight_specs.__getitem__, names) if tap in spec.taps]
    for spec in specs:
        if found := find_file(spec.files):
            return FoundWeights(spec, found, _verified(spec, found))
    wanted = " or ".join(file for spec in specs for file in spec.files) or f"a file for {network} up to {tap}"
    folders = ", ".join(map(str, weight_folders()))
    get = next((spec.name for spec in specs if spec.url), "")
    hint = f"fgbench weights get {get}" if get else "put it into one of them, or set FGBENCH_WEIGHTS to where it is"
    raise MissingError("weights", f"{network} up to {tap} needs {wanted}, and none is in {folders}", hint)


def _identified(path: Path, specs: list[WeightSpec], network: str) -> WeightSpec:
    """Which of the known files this one is: not to know would be not to know the input it expects."""
    if not path.is_file():
        raise MissingError("weights", f"there is no weight file {path}")
    for spec in specs:
        if path.name in spec.files:
            return spec
    for spec in specs:
        if (spec.sha256 or spec.md5) and not _mismatch(spec, path):
            return spec
    if len(specs) == 1:
        return specs[0]
    known = ", ".join(spec.name for spec in specs) or "none"
    raise FgbenchError(
        f"{path} is no known weight file of {network}, so the input it expects is not known either (known: {known})",
        "give it the name of the file that it is; see fgbench weights list",
    )


def get_weights(name: str) -> Path:
    """Download a weight file from its official address into the cache, unless it is here.

    Raises:
        FgbenchError: it has no address, or the download fails or is not the published file.
    """
    spec = weight_specs[name]
    here = find_file(spec.files)
    if here and here.parent != _downloads():
        _verified(spec, here)
        return here
    if not spec.url:
        if here:
            _verified(spec, here)
            return here
        others = [s.name for s in map(weight_specs.__getitem__, weight_specs) if s.network == spec.network and s.url]
        raise FgbenchError(
            f"{name} has no address to download from; put {spec.files[0]} into FGBENCH_WEIGHTS",
            f"fgbench weights get {others[0]}" if others else "",
        )
    mirror = os.environ.get("FGBENCH_URL_WEIGHTS", "").rstrip("/")
    url = f"{mirror}/{spec.files[0]}" if mirror else spec.url
    md5 = spec.md5[0] if spec.md5 else None
    return fetch(url, _downloads() / spec.files[0], sha256=spec.sha256 or None, md5=md5, size=spec.size)


def known_weights() -> list[dict[str, Any]]:
    """Every weight file as plain values."""
    specs = [weight_specs[name] for name in weight_specs]
    return [{"name": s.name, "file": s.files[0], "here": find_file(s.files) is not None, "note": s.note} for s in specs]


def remembered_hash(path: Path, kind: str = "sha256") -> str:
    """Hash of a large file in hex, computed once for its size and modification time.

    Args:
        path: the file.
        kind: `sha256` or `md5`.
    """
    status = path.stat()
    stamp = f"{kind}:{path.resolve()}:{status.st_size}:{status.st_mtime_ns}"
    memory = cache_folder() / "hashes" / "weights.json"
    try:
        known: dict[str, str] = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    if stamp not in known:
        with path.open("rb") as file:
            known[stamp] = hashlib.file_digest(file, kind).hexdigest()
        write_json(memory, known)
    return known[stamp]


def _verified(spec: WeightSpec, path: Path) -> str:
    """The file's SHA-256; raises FgbenchError when it is not the published file."""
    if mismatch := _mismatch(spec, path):
        get = f"fgbench weights get {spec.name}"
        raise FgbenchError(
            f"{path} is not {spec.name}: {mismatch}", "delete it and get it again" + (f": {get}" if spec.url else "")
        )
    return remembered_hash(path)


def _mismatch(spec: WeightSpec, path: Path) -> str:
    """How a file differs from what is published; empty when it does not."""
    size = path.stat().st_size
    if spec.size is not None and size != spec.size:
        return f"it has {size} bytes, the published file {spec.size}"
    if not (digest := remembered_hash(path)).startswith(spec.sha256):
        return f"its SHA-256 begins {digest[:16]}, that of the published file {spec.sha256[:16]}"
    if spec.md5 and (digest := remembered_hash(path, "md5")) not in spec.md5:
        return f"its MD5 is {digest}, that of the published file {spec.md5[0]}"
    return ""
