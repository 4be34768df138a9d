"""Faults of records and their array files: edited fields, damaged bytes, and arrays that parse and do not fit."""

import copy
import hashlib
import json
import random
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from command_line import CALL
from faults.case import Case
from made_arrays import CLASSIFIED, LOCATED, SEARCHED, packed
from made_records import RECIPES, weights_of
from stored_records import record

import fgbench
from fgbench import cli
from fgbench.metrics.values import measure
from fgbench.records.arrays import ARRAYS
from fgbench.records.store import Store, store_of
from fgbench.util.errors import FgbenchError

IDS = {"classified": "a" * 16, "located": "b" * 16, "searched": "c" * 16}
VERBS = (
    ("verify", "--results", "{}"), ("report", "--results", "{}"),
    ("compare", "{base}", "{}"), ("compare", "{}", "{base}"),
    *(
        ("export", table, "--results", "{}")
        for table in ("values", "runs", "curves", "phases", "differences", "verdicts")
    ),
    ("export", "bcnn", "--format", "markdown", "--results", "{}"),
)  # fmt: skip
"""Every verb that reads records."""
ODD_VALUES: tuple[Any, ...] = (
    None,
    [],
    {},
    "",
    "x",
    -1,
    0,
    7,
    1e308,
    10**400,
    True,
    [[]],
    {"a": None},
    "\ud800",
    "\x1b[2J",
)


def make_results(folder: Path) -> Path:
    """Write a results folder with a run of each kind; return it."""
    store = store_of(folder)
    for name, arrays, key in (
        ("classified", CLASSIFIED, "bcnn/bcnn_dd@cub"),
        ("located", CLASSIFIED | LOCATED, "keypoint_fcn/localizer@cub"),
        ("searched", SEARCHED, "where_to_focus/bcnn_dm@viper"),
    ):
        recipe = RECIPES[key]
        fields, _ = record(
            IDS[name], recipe=key, title=recipe.title, method=recipe.method, profile="paper", synthetic=False,
            settings=recipe.settings.model_dump(mode="json"), data=recipe.settings.data, values=measure(arrays),
            weights=[w.model_dump() for w in weights_of(recipe.settings)],
            provenance={"finished": "2026-01-01T00:00:00+00:00", "packages": {"torch": "2"}, "cores": 2},
            deviations=[{"field": "mirror", "recipe": 1, "run": 2, "origin": "ours", "changes_experiment": True}],
            curve=[{"stage": "s", "epoch": 1, "loss": 1.0, "accuracy": 50.0, "wall_s": 1.0}],
        )  # fmt: skip
        store.write(fields, arrays)
    return folder


class Results:
    """A results folder that each case gets anew.

    Args:
        folder: an empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.base, self.work = make_results(folder / "base"), folder / "work"
        self.fields = {
            name: json.loads((self.base / "records" / f"{run_id}.json").read_text()) for name, run_id in IDS.items()
        }

    def fresh(self) -> Store:
        """Return the store of a copy of the folder."""
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.base, self.work)
        return store_of(self.work)

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run a verb on the copy. A traceback is an error."""
        words = [word.format(self.work, base=self.base) for word in arguments]
        result = CALL.invoke(cli.app, words)
        if result.exception and not isinstance(result.exception, (SystemExit, FgbenchError)):
            raise result.exception
        if isinstance(result.exception, FgbenchError):
            return 2, f"{result.output}{result.exception}"
        return result.exit_code, result.output


def read(results: Results) -> None:
    """Read the copy as a library does; an error is an `FgbenchError`."""
    store = store_of(results.work)
    records, _ = store.usable_records()
    for found in records:
        store.verify(found)
    with suppress(FgbenchError):
        fgbench.load(results.work)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fgbench.load(results.work, strict=False)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each value that is not a container, and of each container."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from leaves(inner, (*path, key))


def changed(fields: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """Return a copy of the fields with another value at a path."""
    whole = copy.deepcopy(fields)
    part: Any = whole
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    return whole


def another(value: Any) -> Any:
    """Return a value of the same type that differs."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return f"{value}x"
    return "another"


def edits(results: Results, verbs: Sequence[str] = ()) -> Iterator[Case]:
    """Yield a case for each field of a sealed record, and for the name of its file: an edit is named by every reader.

    Args:
        results: the results folder.
        verbs: names of the records for which `verify`, `report` and `compare` run, too, which takes two seconds a case.
    """
    for name, fields in results.fields.items():
        for path in leaves(fields):
            yield f"edit of {path[0]}", partial(_edited, results, name, path, name in verbs)
        yield "renamed record", partial(_renamed, results, name)


def _edited(results: Results, name: str, path: tuple[Any, ...], verbs: bool) -> None:
    store, file = results.fresh(), f"{IDS[name]}.json"
    fields = results.fields[name]
    old: Any = fields
    for key in path:
        old = old[key]
    (store.folder / file).write_text(json.dumps(changed(fields, path, another(old))), encoding="utf-8")
    records, left_out = store.usable_records()
    assert len(records) == 2
    assert any(file in text for text in left_out), path
    for arguments in (VERBS[0], VERBS[1], VERBS[2]) if verbs else ():
        code, output = results.run(*arguments)
        assert code == 1, (path, arguments, output)
        assert file in output, (path, arguments, output)


def _renamed(results: Results, name: str) -> None:
    store = results.fresh()
    other = "d" * 16
    for suffix in ("json", "npz"):
        (store.folder / f"{IDS[name]}.{suffix}").rename(store.folder / f"{other}.{suffix}")
    records, left_out = store.usable_records()
    assert len(records) == 2
    assert other in left_out[0]


def damaged_files(results: Results, count: int, seed: int = 0) -> Iterator[Case]:
    """Yield cases of records and array files with flipped bits, cuts, insertions, or as another file."""
    rng = random.Random(seed)
    for number in range(count):
        name = rng.choice(list(IDS))
        suffix = ("json", "npz")[number % 2]
        kind = f"damaged {'record' if suffix == 'json' else 'array file'}"
        yield kind, partial(_damaged, results, name, suffix, random.Random(rng.random()))


def _damaged(results: Results, name: str, suffix: str, rng: random.Random) -> None:
    store = results.fresh()
    file = store.folder / f"{IDS[name]}.{suffix}"
    before = file.read_bytes()
    content = bytearray(before)
    place = rng.randrange(len(content))
    how = rng.randrange(6)
    if how == 0:
        content = content[:place]
    elif how == 1:
        content[place:place] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 40)))
    elif how == 2:
        content[place : place + 8] = b"\x00" * 8
    elif how == 3:
        content = bytearray(rng.randbytes(200))
    else:
        content[place] ^= 1 << rng.randrange(8)
    file.write_bytes(content)
    expected = {found.run_id: found for found in store_of(results.base).records()}
    records, left_out = store.usable_records()
    assert all(found == expected[found.run_id] for found in records)
    if suffix == "npz" and content != before:
        assert any(IDS[name] in text for text in left_out)
    read(results)


def odd_fields(results: Results, count: int, seed: int = 0, verbs_every: int = 0) -> Iterator[Case]:
    """Yield cases of records without a seal in which a field has a value of another type or size."""
    rng = random.Random(seed)
    paths = [(name, path) for name, fields in results.fields.items() for path in leaves(fields)]
    for number in range(count):
        name, path = paths[number * 7919 % len(paths)]
        value = rng.choice(ODD_VALUES)
        verbs = bool(verbs_every) and number % verbs_every == 0
        yield "odd field without a seal", partial(_odd, results, name, path, value, verbs)


def _odd(results: Results, name: str, path: tuple[Any, ...], value: Any, verbs: bool) -> None:
    store = results.fresh()
    fields = changed(results.fields[name] | {"schema_version": 1, "seal": ""}, path, value)
    (store.folder / f"{IDS[name]}.json").write_text(json.dumps(fields), encoding="utf-8")
    read(results)
    for arguments in VERBS if verbs else ():
        code, _ = results.run(*arguments)
        assert code in {0, 1, 2}


def odd_arrays(results: Results, verbs_every: int = 0) -> Iterator[Case]:
    """Yield cases of array files that parse and do not fit, with the right hash in a record without a seal."""
    whole = {"classified": CLASSIFIED, "located": CLASSIFIED | LOCATED, "searched": SEARCHED}
    number = 0
    for name, arrays in whole.items():
        for key, array in arrays.items():
            for variant in _variants(key, array):
                number += 1
                other = {k: v for k, v in arrays.items() if k != key} | ({} if variant is None else {key: variant})
                verbs = bool(verbs_every) and number % verbs_every == 0
                yield "array that does not fit", partial(_unfit, results, name, other, verbs)


def _variants(name: str, array: np.ndarray) -> Iterator[np.ndarray | None]:
    yield None
    spec = ARRAYS[name]
    yield from (np.float64(3), np.zeros(0), np.zeros((2, 0)), array[None], array.astype("U9"), array.astype("S9"))
    if array.ndim:
        yield from (array[:1], np.repeat(array, 2, axis=0), array[..., :0], np.asarray(array[:, None]))
    if spec.kind in "if":
        yield from (array.astype(np.uint8), np.full(array.shape, -7), np.full(array.shape, 1 << 40))
        yield from (np.full(array.shape, value) for value in (np.nan, np.inf, -np.inf, 1e300))
    yield from (array.astype(bool), array.astype(object) if array.ndim else np.array("wrong"))


def _unfit(results: Results, name: str, arrays: dict[str, np.ndarray], verbs: bool) -> None:
    store = results.fresh()
    content = packed(arrays)
    (store.folder / f"{IDS[name]}.npz").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    fields = results.fields[name] | {"schema_version": 1, "seal": "", "outputs_sha256": digest}
    (store.folder / f"{IDS[name]}.json").write_text(json.dumps(fields), encoding="utf-8")
    read(results)
    # A record whose outputs do not give its values never counts as verified.
    records, left_out = store.usable_records()
    fitting = [found for found in records if found.run_id == IDS[name]]
    problems = [problem for found in fitting for problem in store.verify(found)]
    stored = {k: v["value"] for k, v in fields["values"].items()}
    assert left_out or problems or {k: v.value for k, v in measure(arrays).items()} == stored
    for arguments in VERBS if verbs else ():
        code, _ = results.run(*arguments)
        assert code in {0, 1, 2}
