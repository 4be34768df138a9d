"""The per-sample arrays of a record: one description of each array, and the one reader that checks files against it."""

import io
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import IO, Any, Literal, NamedTuple

import numpy as np

from fgbench.util.errors import FgbenchError
from fgbench.util.files import DAMAGED_ARRAYS

MAX_BYTES = 1 << 33
"""Largest size of all arrays of a record in memory."""
LENGTH_BYTES = {(1, 0): 2, (2, 0): 4}
"""Version of an NPY file -> number of bytes that hold the length of its header."""
KINDS = {"i": "integers", "f": "real numbers", "b": "booleans", "U": "text"}
"""Kind of a numpy type -> its name in messages."""


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """Type, shape and range of one array."""

    kind: str
    """Kind of its numpy type: a key of `KINDS`."""
    shape: tuple[str | int, ...]
    """Length of each axis. A letter stands for the same length in all arrays: N test samples, C classes, P parts."""
    low: float = -np.inf
    """Smallest value."""
    high: float = np.inf
    """Largest value."""
    below: str = ""
    """Axis whose length is above every value."""
    nan: bool = False
    """True if a value may be NaN."""
    infinite: bool = False
    """True if a value may be infinite."""
    words: tuple[str, ...] = ()
    """The allowed texts; empty for any."""
    needs: tuple[str, ...] = ()
    """Other arrays that must be there."""


_SEARCH = (
    *("ids", "identities", "cameras", "split", "relevant", "tied", "ap_step", "ap_trapezoid", "inp"),
    *("ties", "no_match"),
)
ARRAYS = {
    "ids": ArraySpec("i", ("N",)),
    # Classification.
    "labels": ArraySpec("i", ("N",), low=0, needs=("ids",)),
    "scores": ArraySpec("f", ("N", "C"), needs=("labels",)),
    "class_names": ArraySpec("U", ("C",)),
    "watched": ArraySpec("i", ("N", "E"), low=0, needs=("labels",)),
    # Keypoints and attention.
    "part_names": ArraySpec("U", ("P",)),
    "keypoints": ArraySpec("f", ("N", "P", 3), needs=("true_keypoints", "boxes", "part_names", "ids")),
    "true_keypoints": ArraySpec("f", ("N", "P", 3), nan=True),
    "boxes": ArraySpec("f", ("N", 4)),
    "attention_at_parts": ArraySpec("f", ("N", "P"), low=0, nan=True, needs=("attention_in_box", "part_names")),
    "attention_in_box": ArraySpec("f", ("N",), low=0, nan=True),
    # Person search.
    "identities": ArraySpec("i", ("N",)),
    "cameras": ArraySpec("i", ("N",)),
    "split": ArraySpec("U", ("N",)),
    "relevant": ArraySpec("i", ("N",), low=0),
    "tied": ArraySpec("b", ("N",)),
    "first_rank": ArraySpec("f", ("N", 2), low=1, infinite=True, needs=_SEARCH),
    "ap_step": ArraySpec("f", ("N", 2), low=0, high=1, nan=True),
    "ap_trapezoid": ArraySpec("f", ("N", 2), low=0, high=1, nan=True),
    "inp": ArraySpec("f", ("N", 2), low=0, high=1, nan=True),
    "shot_rank": ArraySpec("f", ("N", "R", 2), low=1, infinite=True, needs=("first_rank",)),
    "shown": ArraySpec("i", ("S",), low=0, below="N", needs=("shown_gallery", "shown_right")),
    "shown_gallery": ArraySpec("i", ("S", "F"), low=-1),
    "shown_right": ArraySpec("b", ("S", "F")),
    "ties": ArraySpec("U", (), words=("optimistic", "pessimistic", "mean")),
    "no_match": ArraySpec("U", (), words=("skip", "zero")),
}
"""Name -> description of every array that a record can have.

`fgbench.metrics.sample_arrays` and `fgbench.metrics.person_search` describe their meaning.
"""


def read_arrays(content: bytes, protocol: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the arrays of an array file, checked against `ARRAYS` and the protocol.

    The shape of an array is checked before its values are read, so that a damaged shape does not reserve memory.

    Args:
        content: the bytes of the .npz file.
        protocol: fields of the protocol of the record.

    Raises:
        FgbenchError: the file is damaged, or an array is not as described.
    """
    try:
        arrays = _read_members(content)
    except DAMAGED_ARRAYS as error:
        raise FgbenchError(f"the array file is damaged: {error}") from error
    check_arrays(arrays, protocol)
    return arrays


class _Header(NamedTuple):
    """What the header of an array says."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]
    start: int
    """Number of bytes before the values."""


def check_headers(content: bytes) -> None:
    """Check the headers of an NPZ file before memory is reserved for its arrays.

    Raises:
        ValueError: the arrays are too large, hold objects, or do not have the sizes that their shapes need. A file that
            is no NPZ file raises one of `fgbench.util.files.DAMAGED_ARRAYS`.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for member in _members(archive):
            with archive.open(member) as file:
                _read_header(file, member)


def _members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Return the members of an NPZ file, whose names differ and whose sizes fit into memory."""
    members = archive.infolist()
    if len({member.filename for member in members}) < len(members):
        raise ValueError("an array occurs twice")
    if (total := sum(member.file_size for member in members)) > MAX_BYTES:
        raise ValueError(f"its arrays need {total} bytes of memory")
    return members


def _read_header(file: IO[bytes], member: zipfile.ZipInfo) -> _Header:
    """Read the header of an NPY file of version 1 or 2, and compare its shape with the size of the file."""
    version = np.lib.format.read_magic(file)
    if version not in LENGTH_BYTES:
        raise ValueError(f"NPY version {version[0]}.{version[1]} is not read")
    length = file.read(LENGTH_BYTES[version])
    header = _parse_header(version, length + file.read(int.from_bytes(length, "little")))
    size = header.start + header.dtype.itemsize * math.prod(header.shape)
    if header.dtype.hasobject or size != member.file_size:
        raise ValueError(f"{member.filename} has {member.file_size} bytes, its shape {header.shape} needs {size}")
    return header


@lru_cache(maxsize=4096)
def _parse_header(version: tuple[int, int], text: bytes) -> _Header:
    """Parse the header of an array; thousands of records have few different ones."""
    parse = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return _Header(*parse(io.BytesIO(text)), np.lib.format.MAGIC_LEN + len(text))


def _read_members(content: bytes) -> dict[str, np.ndarray]:
    """Return the arrays of an NPZ file. Each is opened once, because that takes longest."""
    arrays = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for member in _members(archive):
            with archive.open(member) as file:
                header = _read_header(file, member)
                array = np.frombuffer(file.read(), header.dtype)
            order: Literal["F", "C"] = "F" if header.fortran_order else "C"
            arrays[member.filename.removesuffix(".npy")] = array.reshape(header.shape, order=order).copy()
    return arrays


def check_arrays(arrays: Mapping[str, np.ndarray], protocol: Mapping[str, Any]) -> None:
    """Check arrays against `ARRAYS` and the protocol.

    Args:
        arrays: name -> array.
        protocol: fields of the protocol of the record.

    Raises:
        FgbenchError: an array is unknown, lacks another array, or has another type, shape or range.
    """
    if not {"scores", "keypoints", "attention_at_parts", "first_rank"} & set(arrays):
        raise FgbenchError("the array file has no outputs of a method")
    # Lengths of the axes. The protocol counts test images and classes; a person search has one row for each query.
    lengths: dict[str, int] = {}
    if "labels" in arrays:
        lengths["N"] = int(protocol["test_images"])
        lengths["C"] = int(protocol["classes"])
    for name, array in arrays.items():
        if name not in ARRAYS:
            raise FgbenchError(f"the array file has an array {name}, which this version of fgbench does not know")
        spec = ARRAYS[name]
        if missing := [other for other in spec.needs if other not in arrays]:
            raise FgbenchError(f"the array file has {name} but not {missing[0]}")
        _check_shape(name, array, spec, lengths)
    for name, array in arrays.items():
        _check_values(name, array, ARRAYS[name], lengths)
    for name in {"labels", "watched"} & set(arrays):
        if arrays[name].size and arrays[name].max() >= lengths["C"]:
            raise FgbenchError(f"{name} has the class {arrays[name].max()}, but there are {lengths['C']} classes")


def _check_shape(name: str, array: np.ndarray, spec: ArraySpec, lengths: dict[str, int]) -> None:
    """Check the type and the shape of an array; add the lengths of its axes to `lengths`."""
    kind = array.dtype.kind.replace("u", "i")
    if kind != spec.kind:
        raise FgbenchError(f"{name} has the type {array.dtype}, but holds {KINDS[spec.kind]}")
    expected = [lengths.get(axis, axis) if isinstance(axis, str) else axis for axis in spec.shape]
    fits = array.ndim == len(expected) and all(
        isinstance(length, str) or length == actual for length, actual in zip(expected, array.shape, strict=True)
    )
    if not fits or not array.size:
        shape = ", ".join(map(str, expected))
        raise FgbenchError(f"{name} has the shape {array.shape}, not ({shape})")
    lengths |= {axis: length for axis, length in zip(spec.shape, array.shape, strict=True) if isinstance(axis, str)}


def _check_values(name: str, array: np.ndarray, spec: ArraySpec, lengths: Mapping[str, int]) -> None:
    """Check the values of an array."""
    if spec.words and str(array) not in spec.words:
        raise FgbenchError(f"{name} is {str(array)!r}, not {' or '.join(spec.words)}")
    if array.dtype.kind not in "iuf":
        return
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        if not spec.nan and np.isnan(array).any():
            raise FgbenchError(f"{name} has NaN")
        if np.isnan(array).all():
            raise FgbenchError(f"{name} has no value besides NaN")
        if not spec.infinite and np.isinf(array).any():
            raise FgbenchError(f"{name} has an infinite value")
    high = lengths[spec.below] - 1 if spec.below else spec.high
    if (array < spec.low).any() or (array > high).any():
        raise FgbenchError(f"{name} has values outside {spec.low:g} to {high:g}")
