"""The record of predictions from outside: their values under the protocol of a cell, and the hash of their file."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from fgbench.datasets import find
from fgbench.datasets.index import Index
from fgbench.datasets.pipeline import Pipeline
from fgbench.judge.outside.answers import Answers, Source, read_answers
from fgbench.judge.outside.cells import AskedCell
from fgbench.judge.outside.class_answers import class_scores
from fgbench.judge.outside.images import AskedImages
from fgbench.judge.outside.keypoint_answers import keypoints
from fgbench.judge.outside.search_answers import searched
from fgbench.metrics.person_search import chosen_splits
from fgbench.metrics.sample_arrays import sample_arrays
from fgbench.metrics.values import measure
from fgbench.records.external import EXTERNAL
from fgbench.records.provenance import provenance
from fgbench.runs.data_deviations import data_deviations
from fgbench.runs.experiment import protocol_of
from fgbench.runs.planning import NO_CHANGES, known_index
from fgbench.util.code_hash import hash_code
from fgbench.util.errors import FgbenchError
from fgbench.util.hashing import hash_value
from fgbench.util.memory import peak_mib
from fgbench.util.plain_text import one_line


class NewRecord(NamedTuple):
    """The fields of a record and its arrays, as `fgbench.records.store.Store.write` takes them."""

    fields: dict[str, Any]
    arrays: dict[str, np.ndarray]


def external_records(sources: Sequence[Source], asked: AskedCell, name: str = "", data: str = "") -> list[NewRecord]:
    """Return a record for each file of one result; the files are its seeds.

    Args:
        sources: files or data, in the order of the seeds.
        asked: the cell.
        name: name of the result; by default the name of the first file.
        data: data set of the predictions; empty for that of the cell.

    Raises:
        MissingError: the data set is not on this machine.
        FgbenchError: a file is not as `docs/guides/judge.md` describes it, or does not answer each test image once.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    recipe, dataset = asked.recipe, find(data or asked.recipe.settings.data)
    settings = recipe.settings.model_copy(update={"data": dataset.name})
    index = known_index(settings, NO_CHANGES)
    protocol = protocol_of(index, recipe, settings, shuffle=False)
    deviations = data_deviations(dataset, index, index, recipe, protocol.control)
    fields = {
        "recipe": recipe.key,
        "method": EXTERNAL,
        "profile": EXTERNAL,
        # The other settings of outside predictions are not known.
        "settings": {"data": protocol.data, "ranking": settings.model_dump(mode="json")["ranking"]},
        "protocol": json.loads(json.dumps(asdict(protocol))),
        "protocol_hash": protocol.hash,
        "data": protocol.data,
        "synthetic": dataset.synthetic,
        "deviations": [deviation.model_dump() for deviation in deviations],
        "weights": [],
    }
    files = [_measured(source, seed, asked, index) for seed, source in enumerate(sources)]
    name = one_line(name or files[0].answers.name)
    result = hash_value([recipe.key, name, [file.answers.sha256 for file in files]])
    made = provenance("cpu", started, 1, _code())
    return [
        NewRecord(
            {
                **fields,
                "run_id": hash_value([EXTERNAL, result, protocol.hash, made["source"], seed]),
                "title": f"{name} ({EXTERNAL})",
                "seed": seed,
                "split": file.split,
                "values": measure(file.arrays),
                "cost": {"wall_s": file.wall_s, "phase_s": {"judge": file.wall_s}, "peak_mib": peak_mib()},
                "provenance": made,
                "external": {
                    "what": "predictions",
                    "name": name,
                    "file": file.answers.name,
                    "sha256": file.answers.sha256,
                    "result": result,
                    "answers": file.kind,
                },
            },
            file.arrays,
        )
        for seed, file in enumerate(files)
    ]


@lru_cache(maxsize=1)
def _code() -> str:
    """Return a hash of the code that can change values."""
    return hash_code()


class _File(NamedTuple):
    answers: Answers
    arrays: dict[str, np.ndarray]
    kind: str
    split: str
    wall_s: float


def _measured(source: Source, seed: int, asked: AskedCell, index: Any) -> _File:
    """Return the answers of a file with the arrays of its record."""
    began = time.monotonic()
    answers, split = read_answers(source, asked.task), ""
    kinds = ("label", "scores") if asked.task == "classes" else ("distances", "features")
    kind = next((kind for kind in kinds if kind in answers.arrays), "keypoints").replace("label", "labels")
    if asked.task == "search":
        rules = asked.recipe.settings.ranking
        assert rules is not None
        splits = chosen_splits(index, rules, seed)
        split = ", ".join(split.name for split in splits)
        arrays = searched(answers, index, splits, rules, seed=seed)
    else:
        arrays = _of_classification(answers, asked, index)
    return _File(answers, arrays, kind, split, time.monotonic() - began)


def _of_classification(answers: Answers, asked: AskedCell, index: Index) -> dict[str, np.ndarray]:
    truth = index.select(~index.train)
    images = AskedImages(index.name, "test images", index.files, np.flatnonzero(~index.train), ids=index.ids)
    if asked.task == "classes":
        outputs = {"scores": class_scores(answers, truth, images)}
        return sample_arrays(outputs, truth, Pipeline.parse(asked.recipe.settings.test_pipeline))
    if truth.parts is None or truth.boxes is None:
        raise FgbenchError(f"{index.name} has no keypoints or boxes", f"fgbench data check {index.name}")
    return {
        "ids": truth.ids,
        "labels": truth.labels,
        "part_names": np.array(truth.part_names),
        "keypoints": keypoints(answers, truth, images),
        "true_keypoints": truth.parts,
        "boxes": truth.boxes,
    }
