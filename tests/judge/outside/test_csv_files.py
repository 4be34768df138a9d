"""CSV files: what is accepted, and a message for each kind of fault. A refused file leaves no record."""

import gzip

import pytest
from few_birds import CLASSES, TEST_FILES, TEST_IDS

import fgbench
from fgbench.util.errors import FgbenchError

CELL = "bcnn/t1/bcnn_dd/birds"
LABELS = "image,label\n" + "".join(f"{name},{label}\n" for name, label in zip(TEST_FILES, (1, 1, 1, 2), strict=True))
SCORES = f"id,{CLASSES[1]},{CLASSES[0]}\n1,0.1,0.9\n3,-1.5,2\n61,0.4,0.6\n63,8e-1,0.2\n"
ACCEPTED = {
    "plain": LABELS.encode(),
    "byte order mark": LABELS.encode("utf-8-sig"),
    "line ends of Windows": LABELS.replace("\n", "\r\n").encode(),
    "gzip": gzip.compress(LABELS.encode()),
    "empty lines": (LABELS + "\n\n").encode(),
    "quotes and spaces in the header": LABELS.replace("image,label", '"image", label').encode(),
    "names of classes": LABELS.replace(",1", f",{CLASSES[0]}").replace(",2", f",{CLASSES[1]}").encode(),
    "leading zeros": LABELS.replace(",1", ",001").encode(),
    "scores": SCORES.encode(),
    "longer paths": LABELS.replace("Laysan", r"C:\CUB\images\002.Laysan_Albatross\Laysan").encode(),
    "paths in the data set": LABELS.replace("Black", "images/001.Black_footed_Albatross/Black").encode(),
}  # fmt: skip


def judge(tmp_path, content):
    path = tmp_path / "p.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return fgbench.judge(path, cell=CELL, results=tmp_path / "runs")


@pytest.mark.parametrize("content", ACCEPTED.values(), ids=ACCEPTED)
def test_an_accepted_file_gives_its_value(tmp_path, content):
    verdict = judge(tmp_path, content)
    assert verdict.mean == 75.0
    assert verdict.records[0].external.answers == ("scores" if content == SCORES.encode() else "labels")


PATH = "images/001.Black_footed_Albatross/"
first, second = TEST_FILES[:2]
TRAIN = "Black_Footed_Albatross_0009_34.jpg"
FAULTS = {
    "missing": (LABELS.replace(f"{first},1\n", ""), f"1 of 4 test images missing: '{PATH}{first}'"),
    "double": (LABELS + f"{first},1\n", f"1 test image given more than once: '{PATH}{first}'"),
    "unknown": (LABELS + "nowhere.jpg,1\n", "1 image not in cub: 'nowhere.jpg'"),
    "training image": (LABELS + f"{TRAIN},1\n", f"1 image not among the test images: '{TRAIN}'"),
    "unknown id": (SCORES + "99999,1,2\n", "1 image not in cub: '99999'"),
    "id that is no number": (SCORES.replace("61,", "6.1e1,"), "1 image not in cub: '6.1e1'"),
    "many": ("image,label\n" + "".join(f"{k}.jpg,1\n" for k in range(9)), "9 images not in cub: '0.jpg', '1.j"),
    "empty file": ("", "p.csv is empty"),
    "white space": (" \n\n", "p.csv is empty"),
    "header alone": ("image,label\n", "has a header, but no rows"),
    "no header": (LABELS.partition("\n")[2], "the first line has no column image or id, but"),
    "semicolons": (LABELS.replace(",", ";"), "separated by semicolons"),
    "tabs": (LABELS.replace(",", "\t"), "separated by tabs"),
    "unnamed column": (LABELS.replace("image,label", "image,").replace(",", ",", 1), "column 2 has no name"),
    "double column": ("image,label,label\nx,1,1\n", "the column 'label' occurs twice"),
    "labels and scores": (SCORES.replace("id,", "id,label,").replace("\n1,", "\n1,1,"), "line 3: it has 3 cells"),
    "both": (f"id,label,{CLASSES[0]}\n1,1,0.5\n", "both the column label and the column '001.Black"),
    "neither": ("id\n1\n3\n61\n63\n", "neither labels nor scores"),
    "keypoints": ("id,part\n1,beak\n", "the cell asks for no keypoints"),
    "more cells": (SCORES.replace("0.1,0.9", "0.1,0.9,7"), "line 2: it has 4 cells, the first line has 3"),
    "fewer cells": (SCORES.replace("0.1,0.9", "0.1"), "line 2: it has 2 cells, the first line has 3"),
    "empty cell": (LABELS.replace(f"{second},1", f"{second},"), "line 3: the column label is empty"),
    "text for a number": (SCORES.replace("0.9", "high"), f"line 2: the column '{CLASSES[0]}' has 'high', which is no"),
    "not finite": (SCORES.replace("0.9", "nan"), f"scores of 1 image are not finite: '{PATH}{first}'"),
    "infinite": (SCORES.replace("0.9", "1e999"), "scores of 1 image are not finite"),
    "label from 0": (LABELS.replace(",1", ",0"), "3 labels outside the official numbers 1 to 2: '0'"),
    "label out of range": (LABELS.replace(",2", ",3"), "1 label outside the official numbers 1 to 2: '3'"),
    "unknown class": (LABELS.replace(",2", ",002.Laysan_Albatros"), "1 label outside the official numbers"),
    "unknown classes": (LABELS.replace(",1", ",albatross").replace(",2", ",gull"), "4 labels not in the data set"),
    "one name misspelt": (LABELS.replace(",1", f",{CLASSES[0]}").replace(",2", ",002.Laysan"), "1 label not in the"),
    "one class without scores": (f"id,{CLASSES[0]}\n1,1\n3,1\n61,1\n63,1\n", f"1 of 2 classes missing: '{CLASSES[1]}'"),
    "scores of an unknown class": (SCORES.replace(CLASSES[1], "gull"), "1 class not in the data set: 'gull'"),
    "another alphabet": (LABELS.encode("utf-16"), "neither CSV in UTF-8 nor Parquet nor NPZ"),
    "null bytes": (LABELS.replace("1", "\0"), "it has null bytes"),
    "broken quotes": (LABELS.replace(first, f'"{first}"x'), "line 2:"),
    "damaged gzip": (gzip.compress(LABELS.encode())[:40], "is a damaged gzip file"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "message"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_named_and_nothing_is_written(tmp_path, content, message):
    with pytest.raises(FgbenchError) as error:
        judge(tmp_path, content)
    assert message in error.value.args[0]
    assert error.value.hint
    assert not (tmp_path / "runs").exists()


def test_all_faults_of_the_images_are_named_at_once(tmp_path):
    with pytest.raises(FgbenchError) as error:
        judge(tmp_path, LABELS.replace(first, "nowhere.jpg") + f"{second},1\n")
    text = error.value.args[0]
    for part in (
        "p.csv: ",
        "1 image not in cub: 'nowhere.jpg'",
        "1 test image given more than once",
        second,
        "1 of 4 test images missing",
        first,
    ):
        assert part in text


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path, message in ((tmp_path / "no.csv", "there is no file"), (tmp_path, "it is a folder, not a file")):
        with pytest.raises(FgbenchError, match=message):
            fgbench.judge(path, cell=CELL)


def test_numbers_are_read_to_the_last_bit(tmp_path):
    numbers = [0.1 + 0.2, 5e-324, 1 / 3, 1.7976931348623157e308]
    rows = "".join(f"{number},{value!r},-1\n" for number, value in zip(TEST_IDS, numbers, strict=True))
    path = tmp_path / "p.csv"
    path.write_text(f"id,{CLASSES[0]},{CLASSES[1]}\n{rows}")
    verdict = fgbench.judge(path, cell=CELL, results=tmp_path)
    scores = fgbench.outputs(tmp_path, verdict.records[0].run_id)["scores"]
    assert scores[:, 0].tolist() == numbers
