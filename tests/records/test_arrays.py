import io
import tracemalloc
import zipfile

import numpy as np
import pytest
from made_arrays import CLASSIFIED, LOCATED, SEARCHED, C, N, packed
from stored_records import PROTOCOL

from fgbench.records.arrays import ARRAYS, check_arrays, read_arrays
from fgbench.util.errors import FgbenchError


def test_the_arrays_of_each_kind_of_run_are_read_as_they_were_written():
    assert set(ARRAYS) == {*CLASSIFIED, *LOCATED, *SEARCHED}
    for arrays in (CLASSIFIED, CLASSIFIED | LOCATED, SEARCHED):
        read = read_arrays(packed(arrays), PROTOCOL)
        assert set(read) == set(arrays)
        assert all(np.array_equal(read[name], arrays[name]) for name in arrays)


@pytest.mark.parametrize("name", sorted(ARRAYS))
def test_an_array_of_another_type_shape_or_range_is_refused(name):
    whole = SEARCHED if name in SEARCHED and name != "ids" else CLASSIFIED | LOCATED
    array = whole[name]
    spec = ARRAYS[name]
    wrong = [array.astype(object), array[..., None], array.astype("U5") if spec.kind != "U" else np.zeros(array.shape)]
    if array.ndim:
        wrong += [array[:0], np.concatenate([array, array])]
    if spec.kind in "if":
        wrong += [array.astype(complex), array.astype("datetime64[s]" if spec.kind == "i" else bool)]
        wrong += [np.full_like(array, spec.low - 1)] if np.isfinite(spec.low) else []
    if spec.kind == "f":
        wrong += [] if spec.nan else [np.full_like(array, np.nan)]
        wrong += [] if spec.infinite else [np.full_like(array, np.inf)]
        wrong += [np.full_like(array, spec.high + 0.1)] if np.isfinite(spec.high) else []
    wrong += [np.array("best")] if spec.words else []
    for other in wrong:
        with pytest.raises(FgbenchError):
            check_arrays(whole | {name: other}, PROTOCOL)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({name: CLASSIFIED[name] for name in ("ids", "scores")}, "has scores but not labels"),
        ({name: CLASSIFIED[name] for name in ("ids", "labels")}, "has no outputs"),
        ({}, "has no outputs"),
        (CLASSIFIED | {"keypoints": LOCATED["keypoints"]}, "has keypoints but not true_keypoints"),
        (CLASSIFIED | {"logits": CLASSIFIED["scores"]}, "an array logits, which this version"),
        (CLASSIFIED | {"labels": np.full(N, C)}, "labels has the class 4, but there are 4 classes"),
        (CLASSIFIED | {"watched": np.full((N, 2), C)}, "watched has the class 4"),
        ({name: array[:20] for name, array in CLASSIFIED.items()}, r"ids has the shape \(20,\), not \(40\)"),
        (SEARCHED | {"shown": np.array([0, 5])}, "shown has values outside 0 to 4"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(arrays, words):
    with pytest.raises(FgbenchError, match=words):
        check_arrays(arrays, PROTOCOL)


def with_header(shape, dtype="<f4"):
    """Return an array file whose scores have the header of another shape."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in ("ids", "labels"):
            file = io.BytesIO()
            np.save(file, CLASSIFIED[name])
            archive.writestr(f"{name}.npy", file.getvalue())
        file = io.BytesIO()
        np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
        archive.writestr("scores.npy", file.getvalue() + CLASSIFIED["scores"].tobytes())
    return content.getvalue()


@pytest.mark.parametrize("shape", [(1 << 40, 4), (40, 1 << 60), (40, 5), (1,), (-1, 4)])
def test_a_header_that_needs_another_size_than_the_file_has_is_refused_before_memory_is_reserved(shape):
    assert read_arrays(with_header((N, C)), PROTOCOL)["scores"].shape == (N, C)
    with pytest.raises(FgbenchError, match="the array file is damaged"):
        read_arrays(with_header(shape), PROTOCOL)


@pytest.mark.parametrize("position", range(60))
def test_a_flipped_byte_or_a_cut_gives_the_same_arrays_or_an_error(position):
    content = bytearray(packed(CLASSIFIED))
    place = position * len(content) // 60
    for damaged in (
        bytes(content[:place]),
        bytes(content[:place] + bytes([content[place] ^ 0x41]) + content[place + 1 :]),
    ):
        try:
            arrays = read_arrays(damaged, PROTOCOL)
        except FgbenchError:
            continue
        assert all(np.array_equal(arrays[name], CLASSIFIED[name]) for name in CLASSIFIED)


def test_the_values_of_a_larger_member_are_not_read():
    """A small file can hold a large member of zeros."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in CLASSIFIED.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, array)
        header = io.BytesIO()
        np.lib.format.write_array(header, np.zeros(4))
        archive.writestr("more.npy", header.getvalue() + bytes(100 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(FgbenchError, match=r"more\.npy has .* bytes, its shape .* needs"):
            read_arrays(buffer.getvalue(), PROTOCOL)
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()
