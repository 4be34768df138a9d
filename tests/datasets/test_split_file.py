import re

import pytest
from own_folders import fill, write_split

from fgbench.datasets import find
from fgbench.util.errors import FgbenchError

ROWS = [
    ("photos/2.jpg", "ash, blue", "train"),
    ("photos/1.jpg", "Öl-Weide", "TRAIN"),
    ("./photos//3.jpg", "ash, blue", "test"),
]


def index_of(root):
    return find(f"imagefolder:{root}").index()


def read(root, text, encoding="utf-8"):
    root.mkdir(exist_ok=True)
    (root / "split.csv").write_bytes(text.encode(encoding))
    return index_of(root)


def test_a_split_file_says_class_and_split_of_each_file(tmp_path):
    index = index_of(write_split(tmp_path, ROWS))
    assert index.files == ("photos/1.jpg", "photos/2.jpg", "photos/3.jpg")
    assert index.classes == ("ash, blue", "Öl-Weide")
    assert index.labels.tolist() == [1, 0, 0]
    assert index.train.tolist() == [True, True, False]


def test_the_order_of_the_lines_other_columns_and_line_ends_do_not_matter(tmp_path):
    first = index_of(write_split(tmp_path, ROWS))
    rows = [f'x, "{label}",{split} ,{file}' for file, label, split in ROWS[::-1]]
    text = "\ufeff" + "\r\n\r\n".join(["Note,Label, split,FILE", *rows])
    assert read(tmp_path, text).fingerprint == first.fingerprint


def test_without_labels_the_first_folder_is_the_class(tmp_path):
    rows = [("ash/x/1.png", "train"), ("fern/1.png", "train"), ("ash/2.png", "val")]
    index = index_of(write_split(tmp_path, rows, ("file", "split")))
    assert (index.classes, index.labels.tolist(), index.counts["test"]) == (("ash", "fern"), [0, 0, 1], 1)


def test_a_split_file_counts_before_folders_and_val_only_without_test(tmp_path):
    root = fill(tmp_path)
    write_split(root, [(f"train/ash/{n}.png", "ab"[n % 2], ("train", "train", "val", "test")[n]) for n in range(4)])
    assert index_of(root).files == ("train/ash/0.png", "train/ash/1.png", "train/ash/3.png")
    assert index_of(root).classes == ("a", "b")


def test_a_listed_file_that_is_missing_is_named(tmp_path):
    index = index_of(write_split(tmp_path / "my leaves", ROWS, drawn=False))
    with pytest.raises(FgbenchError, match=r"3 of 3 images of imagefolder:.* are missing .*; the first is") as caught:
        _ = index.image_hash
    assert caught.value.hint == f"fgbench data check 'imagefolder:{tmp_path}/my leaves'"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "split.csv lists no image", "write a line file,label,split"),
        ("file,label,split\n", "split.csv lists no image", "write a line file,label,split"),
        ("file;label;split\n1.jpg;a;train", "names the columns file;label;split, not", "file,label,split, with commas"),
        ("1.jpg,a,train\n", "the first line names the columns 1.jpg, a, train", "the first line must be"),
        ("file,label,split\n1.jpg,a\n", "line 2: 2 fields instead of 3", "double quotes"),
        ("file,label,split\n1.jpg,a, b,train\n", "line 2: 4 fields instead of 3", "double quotes"),
        ("file,label,split\n1.jpg,a,training\n", "line 2: the split is 'training'", "train, test, val"),
        ("file,label,split\n1.jpg,,train\n", "line 2: 1.jpg has no label", "name of its class"),
        ("file,split\n1.jpg,train\n", "line 2: 1.jpg has no label", "name of its class"),
        ("file,label,split\n1.jpg,a,train\n\n./1.jpg,a,test\n", "line 4: 1.jpg is there twice", "remove one"),
        ("file,label,split\n/etc/x.jpg,a,train\n", "'/etc/x.jpg' is not a file in", "relative to this folder"),
        ("file,label,split\na/../../x.jpg,a,train\n", "'a/../../x.jpg' is not a file in", "relative to this folder"),
        ("file,label,split\n,a,train\n", "'' is not a file in", "relative to this folder"),
        ("file,label,split\na\\1.jpg,a,train\n", r"there is no file 'a\\1.jpg'", "write / between folders"),
        ('file,label,split\n"1.jpg,a,train\n', "line 2: unexpected end of data", "mend this line"),
        ("file,label,split\n1.jpg,a\x1b,train\n2.jpg,b,train\n1b.jpg,b,test\n", "has a control character", "rename it"),
        ("file,label,split\n1.jpg,a,train\n2.jpg,b,test\n", "the class 'b' has test images, but no training", "add"),
    ],
)
def test_a_wrong_line_is_named(text, message, hint, tmp_path):
    with pytest.raises(FgbenchError, match=re.escape(message)) as caught:
        read(tmp_path, text)
    assert hint in caught.value.hint


def test_a_file_that_is_no_text_or_no_file_is_refused(tmp_path):
    with pytest.raises(FgbenchError, match=r"split.csv is not UTF-8: .*\n  save it as UTF-8"):
        read(tmp_path, "file,label,split\n1.jpg,Öl,train", "latin-1")
    (tmp_path / "split.csv").unlink()
    (tmp_path / "split.csv").mkdir()
    with pytest.raises(FgbenchError, match=r"cannot read .*split.csv: it is a folder, not a file"):
        index_of(tmp_path)
