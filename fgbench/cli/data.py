"""Data sets and weights on the command line: got, checked and listed."""

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fgbench import datasets
from fgbench.cli.console import Progress, out, table
from fgbench.datasets.check import COUNTED, check
from fgbench.datasets.reid import ReidIndex
from fgbench.datasets.source import Source
from fgbench.util.errors import FgbenchError
from fgbench.util.files import cache_folder


def is_here(name: str) -> bool:
    """True when a data set is on this machine, or drawn where it is needed."""
    dataset = datasets.find(name)
    return dataset.synthetic or _folder(dataset) is not None


def _folder(dataset: Source[Any]) -> Path | None:
    try:
        return dataset.find()
    except FgbenchError:
        return None


def get_data(name: str) -> Path:
    """Download and unpack a data set; returns its folder.

    Raises:
        FgbenchError: the data set has no official address, or the download fails.
    """
    from fgbench.util.download import extract, fetch

    dataset = datasets.find(name)
    if dataset.archive is None:
        return dataset.find()
    if here := _folder(dataset):
        return here
    first = os.environ.get("FGBENCH_DATA", "").split(os.pathsep)[0]
    place = Path(first) if first else cache_folder() / "data"
    url = os.environ.get(f"FGBENCH_URL_{name.upper()}") or dataset.archive.url
    if not url:
        raise dataset.by_hand(place / dataset.folder)
    archive = fetch(url, place / Path(url).name, md5=dataset.archive.md5)
    unpacked = place / f".{dataset.folder}.unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)  # what an interrupted call left
    extract(archive, unpacked)
    inner = unpacked / dataset.folder
    if not inner.is_dir():
        raise FgbenchError(f"{archive} holds no folder {dataset.folder}", f"see {dataset.archive.page}")
    # The archive keeps its attribute names beside the folder; the loader wants them in it.
    names = unpacked / "attributes.txt"
    if names.is_file() and not (inner / names.name).exists():
        names.replace(inner / names.name)
    inner.replace(place / dataset.folder)
    shutil.rmtree(unpacked)
    archive.unlink()
    return place / dataset.folder


def check_data(name: str, *, as_json: bool = False) -> bool:
    """Check a data set and print what was found; True when nothing is wrong."""
    dataset = datasets.find(name)
    index = dataset.index()
    with Progress(quiet=as_json) as progress:
        task = progress.add(f"decoding {name}", len(index))
        health = check(index, dataset.official, dataset.tables, dataset.counts, lambda: progress.advance(task))
    if as_json:
        out(json.dumps(asdict(health), indent=1, ensure_ascii=False))
        return not health.problems
    for title, findings in (("problems", health.problems), ("notes", health.notes)):
        kinds = sorted({finding.kind for finding in findings})
        for kind in kinds:
            same = [finding for finding in findings if finding.kind == kind]
            shown = same if title == "problems" or len(same) <= 20 else same[:3]
            table(f"{title}: {kind} ({len(same)})", [{"file": f.file, "what": f.what} for f in shown])
            if len(shown) < len(same):
                out(f"  and {len(same) - len(shown)} more (--json lists all)")
    if isinstance(index, ReidIndex):
        counts = ", ".join(f"{count} {COUNTED[kind]}" for kind, count in index.counts.items())
    else:
        counts = f"{health.images} images of {len(index.classes)} classes, {int(index.train.sum())} for training"
    out(f"{dataset.title}: {counts}, {len(health.problems)} problems")
    if not health.problems:
        out(f"annotations {index.annotation_hashes['split']}, fingerprint {index.fingerprint}")
    return not health.problems


def list_weights(*, as_json: bool) -> None:
    """Print every known weight file and where it is."""
    from fgbench.backbones import known_weights

    rows = known_weights()
    out(json.dumps(rows, indent=1)) if as_json else table("weights", rows)
