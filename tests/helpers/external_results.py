"""Records of results from outside fgbench."""

from made_records import made, of_accuracy

from fgbench.records.external import EXTERNAL


def external(name="mine", seed=0, answers="scores"):
    """Return the fields that mark a record of outside predictions."""
    return {
        "profile": EXTERNAL, "method": EXTERNAL, "title": f"{name} (external)", "weights": [],
        "settings": {"data": "cub", "ranking": None},
        "external": {
            "what": "predictions", "name": name, "file": f"{name}-{seed}.csv", "sha256": f"{seed:064x}",
            "result": name, "answers": answers,
        },
    }  # fmt: skip


def outside(percent, seed=0, name="mine", **fields):
    """Return a record of outside predictions with only an accuracy."""
    return of_accuracy(percent, seed, **{**external(name, seed), **fields})


def outside_of(arrays, seed=0, name="mine", recipe="bcnn/bcnn_dd@cub", **fields):
    """Return a record of outside predictions with its arrays."""
    classes, images = int(arrays["scores"].shape[1]), len(arrays["ids"])
    protocol = {"classes": classes, "test_images": images}
    record = made(recipe, seed, arrays=arrays, protocol=protocol, **{**external(name, seed), **fields})
    return record, arrays
