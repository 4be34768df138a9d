"""The tensors of a trained method with its classifier, as they are kept and restored."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fgbench.backbones.state_dict import has_type_of, type_name
from fgbench.datasets.index import Index
from fgbench.datasets.reid import ReidIndex
from fgbench.methods.base import Method
from fgbench.runs.training.linear_svm import LinearSvm
from fgbench.util.counted import counted
from fgbench.util.errors import FgbenchError
from fgbench.util.torch_files import EXTRA_STATE

SVM_WEIGHT, SVM_BIAS = "svm.weight", "svm.bias"
HEAD = "classifier."
"""Start of the names of the softmax layer, which is not kept when an SVM classifies."""
SHOWN_NAMES = 5
"""Number of names in a message."""
FITTED = "fitted."
"""Start of the names of what a method fits to images without labels, such as a vocabulary."""


def tensors_of(method: Method, svm: LinearSvm | None) -> dict[str, Tensor]:
    """Return the tensors of a trained method and of its SVM by name."""
    tensors: dict[str, Tensor] = {}
    for name, value in method.state_dict(keep_vars=True).items():  # a parameter of two streams is one tensor
        if name == EXTRA_STATE:
            tensors |= {FITTED + part: tensor for part, tensor in value.items()}
        elif not (svm is not None and name.startswith(HEAD)):
            tensors[name] = value
    return tensors if svm is None else tensors | {SVM_WEIGHT: svm.weight, SVM_BIAS: svm.bias}


def expected_tensors(method: Method, *, svm: bool) -> dict[str, Tensor]:
    """Return the tensors that a trained network must have: all of the method, without its head if an SVM classifies."""
    return {
        name: value
        for name, value in method.state_dict().items()
        if name != EXTRA_STATE and not (svm and name.startswith(HEAD))
    }


def is_fitted(tensors: Mapping[str, Tensor]) -> bool:
    """Return True if tensors include what a method fits to images without labels."""
    return any(name.startswith(FITTED) for name in tensors)


def restore(method: Method, tensors: Mapping[str, Tensor], *, svm: bool) -> LinearSvm | None:
    """Load tensors into a method.

    Args:
        method: the method, built as for the training.
        tensors: tensors by name, as `tensors_of` returns them.
        svm: True if an SVM classifies.

    Returns:
        The SVM; None if none classifies, or if the tensors have none.

    Raises:
        FgbenchError: tensors are missing, unexpected, or of another shape. The method is then unchanged.
    """
    expected = expected_tensors(method, svm=svm)
    fitted = {name.removeprefix(FITTED): value for name, value in tensors.items() if name.startswith(FITTED)}
    given = {
        name: value
        for name, value in tensors.items()
        if not name.startswith(FITTED) and name not in {SVM_WEIGHT, SVM_BIAS} and not (svm and name.startswith(HEAD))
    }
    check_names(expected, given)
    method.load_state_dict(given, strict=False)
    if fitted:
        method.set_extra_state(fitted)
    if not svm or SVM_WEIGHT not in tensors:
        return None
    device = next(iter(tensors.values())).device
    return LinearSvm(tensors[SVM_WEIGHT].to(device), tensors[SVM_BIAS].to(device), np.zeros(0), 0)


def network_card(fields: Mapping[str, Any], index: Index | ReidIndex) -> dict[str, Any]:
    """Return the card of a kept network: what it computes, from what it was trained, and what it reached.

    Args:
        fields: fields of the record of the run.
        index: the data set of the run.
    """
    kept = ("run_id", "recipe", "title", "method", "profile", "seed", "data", "synthetic", "settings", "weights")
    names = ", ".join(entry["name"] for entry in fields["weights"]) or "no weights"
    return {
        **{name: fields[name] for name in kept},
        "classes": list(index.classes) if isinstance(index, Index) else [],
        "input": f"uint8 RGB images of {fields['settings']['test_pipeline']}",
        "values": {name: value.value for name, value in fields["values"].items()},
        "licence": f"trained on {fields['data']} from {names}; the terms of both hold",
        "provenance": fields["provenance"],
    }


def check_names(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
    """Check that tensors have the names, shapes and types of a network, and finite values.

    Raises:
        FgbenchError: tensors are missing, unexpected, of another shape or type, or not finite; the message names the
            first of each.
    """
    problems = []
    for what, names in (
        ("missing", [name for name in expected if name not in given]),
        ("unexpected", [name for name in given if name not in expected]),
    ):
        if names:
            problems.append(f"{counted(len(names), 'tensor')} {what}: {_listed(names)}")
    shapes = [
        f"{name} {tuple(given[name].shape)} instead of {tuple(value.shape)}"
        for name, value in expected.items()
        if name in given and given[name].shape != value.shape
    ]
    if shapes:
        problems.append(f"{counted(len(shapes), 'tensor')} of another shape: {_listed(shapes)}")
    both = [name for name in expected if name in given]
    types = [
        f"{name} {type_name(given[name])} instead of {type_name(expected[name])}"
        for name in both
        if not has_type_of(given[name], expected[name])
    ]
    if types:
        problems.append(f"{counted(len(types), 'tensor')} of another type: {_listed(types)}")
    elif infinite := [name for name in both if not torch.isfinite(given[name]).all()]:
        problems.append(f"{counted(len(infinite), 'tensor')} with values that are not finite: {_listed(infinite)}")
    if problems:
        raise FgbenchError("; ".join(problems), "name a network of this recipe, with the same number of classes")


def _listed(names: list[str]) -> str:
    return ", ".join(names[:SHOWN_NAMES]) + (", …" if len(names) > SHOWN_NAMES else "")
