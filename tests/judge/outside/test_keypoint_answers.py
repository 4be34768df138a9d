"""Keypoints of every part of every test image, in long tables and in arrays."""

import numpy as np
import pandas as pd
import pytest
from few_birds import PARTS, POINTS, TEST_FILES, TEST_IDS

import fgbench
from fgbench.util.errors import FgbenchError

CELL = "keypoint_fcn/t2/beak/a10"
ROWS = [(image, part, *POINTS[part], 0.9) for image in TEST_FILES for part in PARTS]
TABLE = pd.DataFrame(ROWS, columns=["image", "part", "x", "y", "confidence"])
POINT_ARRAY = TABLE[["x", "y", "confidence"]].to_numpy().reshape(4, 2, 3)


def test_every_form_gives_the_same_value_and_the_same_arrays(tmp_path):
    # The first beak is farther from the true one than a tenth of the box's longer side, 100 px.
    table, array = TABLE.copy(), POINT_ARRAY.copy()
    table.loc[1, "x"] = array[0, 1, 0] = 70.5
    forms = {
        "table": table.sample(frac=1, random_state=2),
        "levels": table.set_index(["image", "part"]),
        "named": {"id": TEST_IDS[::-1], "keypoints": array[::-1, ::-1], "parts": PARTS[::-1]},
        "array": array,
    }
    for name, form in forms.items():
        verdict = fgbench.judge(form, cell=CELL, results=tmp_path)
        record = verdict.records[0]
        assert (verdict.mean, record.external.answers) == (75.0, "keypoints"), name
        assert record.values["pck@0.10/back"].value == 100.0
        np.testing.assert_array_equal(fgbench.outputs(tmp_path, record.run_id)["keypoints"], array)


FAULTS = {
    "missing": (TABLE.iloc[1:], f"1 of 8 keypoints missing: .*{TEST_FILES[0]}, back"),
    "double": (pd.concat([TABLE, TABLE.iloc[:1]]), f"1 keypoint given more than once: .*{TEST_FILES[0]}, back"),
    "unknown image": (TABLE.replace(TEST_FILES[0], "no.jpg"), "1 image not in cub: 'no.jpg'; 2 of 8 keypoints missing"),
    "unknown part": (TABLE.replace("beak", "snout"), "1 part not in the data set: 'snout'"),
    "not finite": (TABLE.assign(x=[np.inf, *TABLE.x[1:]]), f"1 keypoint not finite: .*{TEST_FILES[0]}, back"),
    "no confidence": (TABLE.drop(columns="confidence"), "no column confidence"),
    "another column": (TABLE.assign(visible=1), "an unknown column 'visible'"),
    "labels": (pd.DataFrame({"image": TEST_FILES, "label": 1}), "no column confidence"),
    "array of another length": (POINT_ARRAY[:3], "it has 3 rows, cub has 4 test images"),
    "array of another shape": (POINT_ARRAY[..., :2], r"not \(images, 2 parts, 3\)"),
    "more images than rows": ({"id": TEST_IDS, "keypoints": POINT_ARRAY[:3], "parts": PARTS}, "4 images for 3 rows"),
    "no names of parts": ({"id": TEST_IDS, "keypoints": POINT_ARRAY}, "but no parts"),
    "several lengths": ({"id": [1], "part": ["beak"], "x": [1, 2], "y": [1], "confidence": [1]}, "same length"),
}  # fmt: skip


@pytest.mark.parametrize(("source", "message"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_named(source, message):
    with pytest.raises(FgbenchError, match=message):
        fgbench.judge(source, cell=CELL)
