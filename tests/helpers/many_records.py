"""A store of thousands of records that is quick to write and has every field."""

import json
from itertools import product

import numpy as np
from made_records import RECIPES, of_right, scores_of

from fgbench.metrics.values import measure
from fgbench.records.record import Point, Weights
from fgbench.records.seal import seal_of
from fgbench.records.store import store_of
from fgbench.util.hashing import hash_file, hash_value

IMAGES, CLASSES = 400, 20


def fill(results, count, seeds=3):
    """Write `count` records of every recipe in turn, with some seeds per night, two kinds of data and two devices."""
    folder = store_of(results).folder
    folder.mkdir(parents=True)
    keys = [key for key, recipe in RECIPES.items() if not recipe.settings.ranking]
    rng = np.random.default_rng(0)
    template = {
        key: json.loads(of_right(np.ones(IMAGES, bool), key, classes=CLASSES)[0].model_dump_json()) for key in keys
    }
    curve = [
        Point(stage="finetune", epoch=e, loss=3 / e, accuracy=9.0 * e, wall_s=2.2).model_dump() for e in range(1, 9)
    ]
    weights = [Weights(stream="tiny_m:pool", name="tiny_m", sha256="9f" * 32, official=True).model_dump()]
    labels = np.arange(IMAGES) % CLASSES
    places = product(range(count), keys, range(seeds))
    for number, (night, key, seed) in zip(range(count), places, strict=False):
        synthetic = night % 2 == 1
        run_id = hash_value(["run", number])
        scores = scores_of(rng.random(IMAGES) < rng.uniform(0.4, 0.9), labels, CLASSES)
        scores += 0.1 * rng.random(scores.shape, np.float32)
        arrays = {"ids": np.arange(IMAGES), "labels": labels, "scores": scores}
        np.savez(folder / f"{run_id}.npz", **arrays)
        protocol = template[key]["protocol"] | ({"data": "synthetic_birds", "images": "made"} if synthetic else {})
        provenance = {
            "command": f"fgbench reproduce {protocol['data']}", "fgbench": "0.1.0", "python": "3.11.7",
            "source": hash_value(["source", night]), "commit": hash_value(["commit", night]) * 2, "dirty": False,
            "platform": "Linux-6.1-x86_64-with-glibc2.36", "cpu": "AMD EPYC", "cores": 2, "threads": 1, "processes": 1,
            "device": ("cpu", "NVIDIA H200")[night % 3 == 0], "started": "2026-11-21T09:16:48+00:00",
            "packages": {"torch": "2.13.0", "torchvision": "0.28.0", "timm": "1.0.31", "numpy": "2.4.6"},
            "finished": f"20{10 + night // 336:02d}-{night // 28 % 12 + 1:02d}-{night % 28 + 1:02d}T09:17:15+00:00",
        }  # fmt: skip
        record = template[key] | {
            "run_id": run_id, "outputs": f"{run_id}.npz", "outputs_sha256": hash_file(folder / f"{run_id}.npz"),
            "seed": seed, "synthetic": synthetic, "protocol": protocol, "protocol_hash": hash_value(protocol),
            "data": protocol["data"], "provenance": provenance, "profile": "quick" if synthetic else "paper",
            "schema_version": 2, "curve": curve, "weights": weights,
            "values": {name: value.model_dump() for name, value in measure(arrays).items()},
        }  # fmt: skip
        record["seal"] = seal_of(record)
        (folder / f"{run_id}.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
