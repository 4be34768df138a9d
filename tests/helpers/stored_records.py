"""Records of few images, as a store keeps them, and edits of their files."""

import json

import numpy as np

from fgbench.metrics.values import measure
from fgbench.records.seal import seal_of
from fgbench.records.store import Store
from fgbench.util.hashing import hash_value

PROTOCOL = {
    "train_sees": [], "test_sees": [], "classes": 4, "train_images": 40, "test_images": 40, "images": "i",
    "annotations": "a",
}  # fmt: skip
ODD = {
    "third": 100 / 3,
    "tiny": 5e-324,
    "sum": 0.1 + 0.2,
    "next": float(np.nextafter(84.1, 100)),
    "large": 1.7976931348623157e308,
}
"""Values whose last bit is lost by 15 or 16 digits."""
DEVIATIONS = [
    {"field": "svm.c", "recipe": 1.0, "run": 0.5, "origin": "code", "changes_experiment": True},
    {"field": "backbones", "recipe": ["a:b"], "run": None, "origin": "ours", "changes_experiment": False},
]


def record(run_id="a" * 16, **fields):
    """Return the fields and the arrays of a record of 40 images of 4 classes."""
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 4
    scores = (rng.normal(size=(40, 4)) + np.eye(4)[labels]).astype(np.float32)
    base = {
        "run_id": run_id, "recipe": "bcnn/fv_sift@cub", "title": "FV-SIFT", "method": "fv_sift", "profile": "quick",
        "seed": 0, "settings": {}, "protocol": PROTOCOL, "protocol_hash": hash_value(PROTOCOL), "data": "cub",
        "synthetic": True, "deviations": [], "weights": [], "curve": [],
        "values": measure({"scores": scores, "labels": labels}),
        "cost": {"wall_s": 1.0, "phase_s": {}, "peak_mib": 2.0}, "provenance": {},
    }  # fmt: skip
    return {**base, **fields}, {"ids": np.arange(40), "labels": labels, "scores": scores}


def write_record(folder, **fields):
    """Write a record into a folder."""
    return Store(folder).write(*record(**fields))


def edit(path, change, *, schema=None, seal=False):
    """Change the fields of a record's file in place.

    Args:
        path: the file.
        change: changes the fields, a dictionary, in place.
        schema: 1 to remove the seal.
        seal: True to seal the changed fields.
    """
    fields = json.loads(path.read_text(encoding="utf-8"))
    change(fields)
    if schema == 1:
        fields |= {"schema_version": 1, "seal": ""}
    if seal:
        fields["seal"] = seal_of(fields)
    path.write_text(json.dumps(fields), encoding="utf-8")
