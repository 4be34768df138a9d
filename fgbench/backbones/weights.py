"""Search, download and verification of weight files."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from fgbench.backbones.spec import WeightFile, WeightSpec
from fgbench.backbones.weight_files import weight_specs
from fgbench.util.damaged import read_checked_json, tell, write_checked_json
from fgbench.util.download import fetch
from fgbench.util.errors import FgbenchError, MissingError
from fgbench.util.files import cache_folder, expand_user
from fgbench.util.hashing import sample_file, stamp_of
from fgbench.util.placeholders import refuse_placeholder


def weight_folders() -> list[Path]:
    """Return the folders to search for weight files: those of FGBENCH_WEIGHTS, then the download cache."""
    user_folders = [expand_user(Path(part)) for part in os.environ.get("FGBENCH_WEIGHTS", "").split(os.pathsep) if part]
    return [*user_folders, _download_folder()]


def _download_folder() -> Path:
    return cache_folder() / "weights"


def find_file(names: tuple[str, ...]) -> Path | None:
    """Return the first file with one of these names in the weight folders; None if there is none."""
    candidates = (folder / name for folder in weight_folders() for name in names)
    return next((path for path in candidates if path.is_file()), None)


def find_weights(network: str, tap: str, accepted: tuple[str, ...] = (), path: Path | None = None) -> WeightFile:
    """Return a verified weight file with the layers of a network up to a tap.

    Args:
        network: Name of the network, such as `vgg16`.
        tap: The last layer that is needed.
        accepted: Names of weight files in order of preference; empty for all known ones.
        path: A file to use instead of searching. It is identified among `accepted` by its name or its content; if
            `accepted` names one file of the network, it is taken to be that file.

    Raises:
        MissingError: There is no such file. The hint is the command that downloads the first one with an address.
        FgbenchError: The file is not the published one, cannot be identified, or has no weights for the tap.
    """
    names = [name for name in accepted or tuple(weight_specs) if weight_specs[name].network == network]
    if path is not None:
        spec = _identify(path, [weight_specs[name] for name in names], network)
        if tap not in spec.taps:
            raise FgbenchError(
                f"{path} is {spec.name}, which has weights only for {', '.join(spec.taps)}, not for {tap}"
            )
        return WeightFile(spec, path, _verified_sha256(spec, path))
    specs = [spec for spec in map(weight_specs.__getitem__, names) if tap in spec.taps]
    for spec in specs:
        if file := find_file(spec.files):
            return WeightFile(spec, file, _verified_sha256(spec, file))
    wanted = " or ".join(name for spec in specs for name in spec.files) or f"a file for {network} up to {tap}"
    folders = ", ".join(map(str, weight_folders()))
    download = next((spec.name for spec in specs if spec.url), "")
    hint = (
        f"fgbench weights get {download}"
        if download
        else "put it into one of these folders, or set FGBENCH_WEIGHTS to its folder"
    )
    raise MissingError("weights", f"{network} up to {tap} needs {wanted}, which is not in {folders}", hint)


def _identify(path: Path, specs: list[WeightSpec], network: str) -> WeightSpec:
    """Return the published file that a file is; its normalisation of the input depends on it."""
    if not path.is_file():
        raise MissingError("weights", f"there is no weight file {path}")
    for spec in specs:
        if path.name in spec.files:
            return spec
    for spec in specs:
        if spec.has_hash and not _mismatch(spec, path):
            return spec
    if len(specs) == 1:
        return specs[0]
    known = ", ".join(spec.name for spec in specs) or "none"
    raise FgbenchError(
        f"{path} is not a known weight file of {network}, so its input normalisation is unknown (known: {known})",
        "rename it to the published name; see fgbench weights list",
    )


def get_weights(name: str) -> Path:
    """Return a weight file; download it from its official address if it is not on this machine.

    Raises:
        FgbenchError: The file has no address, the download fails, or the file is not the published one.
    """
    spec = weight_specs[name]
    local_file = find_file(spec.files)
    if local_file and (local_file.parent != _download_folder() or not spec.url):
        _verified_sha256(spec, local_file)
        return local_file
    if not spec.url:
        others = [s.name for s in map(weight_specs.__getitem__, weight_specs) if s.network == spec.network and s.url]
        raise FgbenchError(
            f"{name} has no download address; put {spec.files[0]} into a folder of FGBENCH_WEIGHTS",
            f"fgbench weights get {others[0]}" if others else "",
        )
    mirror = os.environ.get("FGBENCH_URL_WEIGHTS", "").rstrip("/")
    url = f"{mirror}/{spec.files[0]}" if mirror else spec.url
    md5 = spec.md5[0] if spec.md5 else None
    return fetch(url, _download_folder() / spec.files[0], sha256=spec.sha256 or None, md5=md5, size=spec.size)


def known_weights() -> list[dict[str, Any]]:
    """Return the known weight files: name, file name, whether it is on this machine, and note."""
    specs = [weight_specs[name] for name in weight_specs]
    return [
        {"name": spec.name, "file": spec.files[0], "here": find_file(spec.files) is not None, "note": spec.note}
        for spec in specs
    ]


def cached_hash(path: Path, kind: str = "sha256") -> str:
    """Return the hash of a file in hex; it is computed again only if the path, `stamp_of` or `sample_file` changes.

    If only the sample has changed, the user is told. If the cache cannot be written, it is computed each time.

    Args:
        path: The file.
        kind: `sha256` or `md5`.
    """
    stamp, sample = f"{kind}:{path.resolve()}:{stamp_of(path)}", sample_file(path)
    cache_file = cache_folder() / "hashes" / "weight_files.json"
    known: dict[str, str] = {}
    with suppress(FgbenchError):  # a damaged file that cannot be set aside
        known = read_checked_json(cache_file) or {}
    digest, _, known_sample = known.get(stamp, "").partition(" ")
    if known_sample == sample:
        return digest
    if known_sample:
        tell(f"{path} has other content than before, with the same size and times: its hash is computed again.")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, kind).hexdigest()
    with suppress(FgbenchError):  # a cache that cannot be written
        write_checked_json(cache_file, known | {stamp: f"{digest} {sample}"})
    return digest


def _verified_sha256(spec: WeightSpec, path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        FgbenchError: It is not the published file.
    """
    if mismatch := _mismatch(spec, path):
        refuse_placeholder(path)
        command = f": fgbench weights get {spec.name}" if spec.url else ""
        raise FgbenchError(f"{path} is not {spec.name}: {mismatch}", f"delete it and download it again{command}")
    return cached_hash(path)


def _mismatch(spec: WeightSpec, path: Path) -> str:
    """Return how a file differs from the published one; empty if it does not."""
    size = path.stat().st_size
    if spec.size is not None and size != spec.size:
        return f"it has {size} bytes; the published file has {spec.size}"
    if not (digest := cached_hash(path)).startswith(spec.sha256):
        return f"its SHA-256 starts with {digest[:16]}; that of the published file starts with {spec.sha256[:16]}"
    if spec.md5 and (digest := cached_hash(path, "md5")) not in spec.md5:
        return f"its MD5 is {digest}; that of the published file is {spec.md5[0]}"
    return ""
