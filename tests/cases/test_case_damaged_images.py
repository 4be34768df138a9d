"""Damaged files and large photographs: each is a finding about its file, and a run names it."""

import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from command_line import run
from own_folders import fill
from PIL import Image, ImageFile, features

from fgbench.datasets import find, image_reading
from fgbench.datasets.check import check
from fgbench.datasets.geometry import image_sizes
from fgbench.datasets.image_files import ImageFiles
from fgbench.datasets.image_reading import ImageError, decoded_image
from fgbench.datasets.pipeline import Pipeline
from fgbench.datasets.pixel_cache import cached_pixels
from fgbench.util.errors import FgbenchError

PACKAGE = Path(image_reading.__file__).parents[1]
PIPELINE = Pipeline.parse("resize(8)")
FLIPS = 150
"""Flipped bits of each format."""
FORMATS = {
    "a.jpg": {},
    "progressive.jpg": {"progressive": True},
    "a.png": {},
    "a.bmp": {},
    "a.gif": {},
    "a.tif": {},
    "lzw.tif": {"compression": "tiff_lzw"},
    "a.webp": {},
    "lossless.webp": {"lossless": True},
    "a.avif": {},
}
"""File -> options of the encoder."""


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path):
    return fill(tmp_path / "leaves", {"train": {"ash": 2, "fern": 1}, "test": {"ash": 1}})


def picture(side=48):
    """A picture with edges and noise."""
    x, y = np.meshgrid(np.arange(side), np.arange(side))
    noise = np.random.default_rng(0).integers(0, 20, (side, side, 3))
    return Image.fromarray(
        (np.stack([x * 4 % 251, y * 5 % 251, x * y % 251], -1) + noise).clip(0, 255).astype(np.uint8)
    )


def encoded(path, image, **options):
    if path.suffix in {".webp", ".avif"} and not features.check(path.suffix[1:]):
        pytest.skip(f"Pillow without {path.suffix}")
    image.save(path, **options)
    return bytearray(path.read_bytes())


def findings(root, kind="corrupt"):
    result = check(find(f"imagefolder:{root}").index())
    return {f.file: f.what for f in [*result.problems, *result.notes] if f.kind == kind}


def assert_named_by_a_run(root, file):
    with pytest.raises(FgbenchError) as caught:
        cached_pixels(find(f"imagefolder:{root}").index(), PIPELINE)
    assert str(root / file) in str(caught.value)
    assert f"fgbench data check imagefolder:{root}" in str(caught.value)


@pytest.mark.parametrize("name", FORMATS)
def test_a_flipped_bit_changes_pixels_or_is_an_error_with_the_file(tmp_path, name):
    """A damaged AVIF raised `RuntimeError`, a damaged TIFF `struct.error`, others `SyntaxError` or `OverflowError`.

    Reported for libavif: #1725 (`Failed to decode frame`), for Pillow: #1544 (`ValueError`), #1163 (`struct.error`).
    """
    path = tmp_path / name
    content = encoded(path, picture(), **FORMATS[name])
    choose = random.Random(name)
    for bit in choose.sample(range(8 * len(content)), FLIPS):
        damaged = content.copy()
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            ImageFiles([path], PIPELINE).check()
        except FgbenchError as error:
            assert str(path) in str(error)  # noqa: PT017 - most flips are no error


@pytest.mark.parametrize("error", [RuntimeError, struct.error, OverflowError, MemoryError, zlib.error, SyntaxError])
def test_every_error_of_a_decoder_is_listed_and_the_check_goes_on(root, monkeypatch, error):
    """One damaged image ended the check without its name. Reported for Hugging Face dataset-viewer: #1192."""
    original = ImageFile.ImageFile.load

    def failing(image):
        if str(getattr(image, "filename", "")).endswith("ash/1.png"):
            raise error("inside")
        return original(image)

    (root / "train/fern/1.png").write_text("text")
    monkeypatch.setattr(ImageFile.ImageFile, "load", failing)
    found = findings(root)
    assert set(found) == {"train/ash/1.png", "train/fern/1.png"}
    assert found["train/ash/1.png"].startswith("cannot be decoded: ")
    assert_named_by_a_run(root, "train/ash/1.png")


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("a.jpg", b"\xff\xc0\0\x11\x08", b"\xff\xff\xff\xff"),  # height and width after the start of the frame
        ("a.bmp", 18, b"\xff\xff\xff\x7f\xff\xff\xff\x7f"),
        ("a.gif", 6, b"\xff\xff\xff\xff"),
        ("a.tif", b"\0\1\4\0\1\0\0\0", b"\xff\xff\xff\x7f"),  # the width of the image
        ("a.png", 16, b"\x7f\xff\xff\xff\x7f\xff\xff\xff"),
    ],
)
def test_damaged_sizes_are_findings_for_the_check_and_errors_with_the_file_for_a_run(root, name, place, value):
    """The sizes of images were read with `DecompressionBombError`. Reported for MONAILabel: #1230, for memery: #10."""
    path = root / "train/ash/0.png"
    content = encoded(path.with_name(name), picture())
    path.with_name(name).unlink()
    start = place if isinstance(place, int) else content.index(place) + len(place)
    content[start : start + len(value)] = value
    path.write_bytes(content)
    assert set(findings(root)) == {"train/ash/0.png"}
    assert_named_by_a_run(root, "train/ash/0.png")
    code, text = run("data", "check", f"imagefolder:{root}")
    assert (code, "train/ash/0.png" in text, "Traceback" in text) == (1, True, False)
    with pytest.raises(FgbenchError, match=r"0.png .*\n  fgbench data check"):
        image_sizes(find(f"imagefolder:{root}").index())


def test_a_photograph_of_180_million_pixels_is_read(root):
    """Pillow refuses 178,956,971 pixels and more. Reported for Geti: #1486, for webknossos-libs: #892."""
    path = root / "train/ash/0.png"
    Image.new("1", (13_500, 13_400), 1).save(path)
    index = find(f"imagefolder:{root}").index()
    assert image_sizes(index)[index.files.index("train/ash/0.png")].tolist() == [13_500, 13_400]
    assert findings(root) == {}
    assert (cached_pixels(index, PIPELINE)[index.files.index("train/ash/0.png")] == 255).all()


def test_an_image_above_the_limit_is_named_with_its_size_and_the_limit(root):
    """The error gave no file. Reported for Hugging Face dataset-viewer: #1192 (806 million pixels)."""
    path = root / "train/ash/0.png"
    Image.new("1", (30_000, 20_000)).save(path)
    text = "has 30000 x 20000 pixels, and the limit is 500 million pixels: make it smaller"
    assert findings(root) == {"train/ash/0.png": text}
    assert_named_by_a_run(root, "train/ash/0.png")
    with pytest.raises(FgbenchError, match=r"0.png has 30000 x 20000 pixels"):
        ImageFiles([path], PIPELINE).check()


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "lossless.webp", "a.avif"])
def test_a_file_whose_end_is_zeros_is_refused(root, name, share):
    """An interrupted download of full length is grey or noise below.

    Reported for YOLOv5: #916, #3638, for libvips: #2309.
    """
    path = root / "train/ash/0.png"
    content = encoded(path.with_name(name), picture(400), **FORMATS[name])
    path.with_name(name).unlink()
    kept = int(len(content) * share)
    path.write_bytes(content[:kept] + bytes(len(content) - kept))
    assert set(findings(root)) == {"train/ash/0.png"}
    assert_named_by_a_run(root, "train/ash/0.png")


def test_zeros_in_the_first_frame_of_an_animated_webp_are_refused(root):
    """The data of the frames are within chunks of an animation; the decoder fills the frame."""
    path = root / "train/ash/0.png"
    frames = {"save_all": True, "append_images": [picture(90)], "lossless": True}
    content = encoded(path.with_name("a.webp"), picture(100).resize((90, 90)), **frames)
    path.with_name("a.webp").unlink()
    start = content.index(b"VP8L") + 8
    size = int.from_bytes(content[start - 4 : start], "little")
    content[start + size // 2 : start + size] = bytes(size - size // 2)
    path.write_bytes(content)
    assert findings(root) == {"train/ash/0.png": "is damaged: its data end in zeros"}


def test_the_missing_end_of_a_jpeg_is_said(root):
    """The decoder takes zeros for data until the image is full. Reported for YOLOv5: #916."""
    path = root / "train/ash/0.png"
    content = encoded(path.with_name("a.jpg"), picture(600), quality=95)
    path.with_name("a.jpg").unlink()
    path.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))
    assert findings(root) == {"train/ash/0.png": "is damaged: its end marker is missing"}


def test_a_file_that_may_not_be_read_is_a_finding(root, monkeypatch):
    """It ended the check. Reported for Hugging Face dataset-viewer: #1192 (one failing image)."""
    refused = root / "train/ash/0.png"
    original = Path.open

    def opened(path, *arguments, **options):
        if path == refused:
            raise PermissionError(13, "Permission denied", str(path))
        return original(path, *arguments, **options)

    def image_opened(path, *arguments, **options):
        return original_image(opened(Path(path), "rb"), *arguments, **options)

    original_image = Image.open
    monkeypatch.setattr(Path, "open", opened)
    monkeypatch.setattr(Image, "open", image_opened)
    assert findings(root) == {"train/ash/0.png": "cannot be decoded: Permission denied"}


def test_data_behind_the_end_of_an_image_are_no_damage(root):
    """Telephones append data; a check of the last two bytes refuses them. Reported for YOLOv5: #3638, #4548."""
    for number, name in enumerate(FORMATS):
        path = root / "train/ash" / f"{number}.png"
        content = encoded(path.with_name(name), picture(), **FORMATS[name])
        path.with_name(name).unlink()
        path.write_bytes(content + bytes(100) + b"SEFT")
    thumbnail = encoded(root / "small.jpg", picture(8))
    path = root / "train/ash/thumbnail.jpg"
    picture().save(path, exif=b"Exif\0\0" + thumbnail)
    path.write_bytes(path.read_bytes() + bytes(8))
    (root / "small.jpg").unlink()
    assert findings(root) == {}


def test_a_wrong_checksum_of_pixels_of_a_png_is_damage(root):
    """Pillow does not compare the checksum of the pixels. Reported for Pillow: #6342 (`verify` finds no damage)."""
    path = root / "train/ash/0.png"
    content = encoded(path, picture())
    content[content.index(b"IEND") - 6] ^= 1  # the checksum of the last chunk with pixels
    path.write_bytes(content)
    assert findings(root) == {"train/ash/0.png": "is damaged: the checksum of its pixels is wrong"}


@pytest.mark.parametrize("name", ["a.bmp", "a.tif"])
def test_rows_of_one_colour_up_to_the_end_are_a_note(root, name):
    """Formats without checksums show zeros as black rows. Reported for YOLOv5: #3450, the damaged part is black."""
    path = root / "train/ash/0.png"
    content = encoded(path.with_name(name), picture())
    path.with_name(name).unlink()
    pixels = 48 * 48 * 3
    # The last quarter of the rows. BMP stores rows from below.
    start = 54 if name == "a.bmp" else content.index(np.asarray(picture()).tobytes()) + pixels * 3 // 4
    content[start : start + pixels // 4] = bytes(pixels // 4)
    path.write_bytes(content)
    assert findings(root) == {}
    assert findings(root, "constant") == {"train/ash/0.png": "its last 12 of 48 rows have one colour"}
    Image.new("RGB", (40, 30), "red").save(path)
    assert findings(root, "constant") == {"train/ash/0.png": "all its pixels have one colour"}


@pytest.mark.parametrize("name", ["a.bmp", "a.tga"])
def test_zeros_at_the_end_of_a_file_that_begins_with_the_last_row_are_a_note(root, name):
    """An interrupted download of a BMP of full length is black at its top."""
    path = root / "train/ash/0.png"
    content = encoded(path.with_name(name), picture())
    path.with_name(name).unlink()
    end = content.find(b"\0\0\0\0\0\0\0\0TRUEVISION") if name == "a.tga" else len(content)
    zeros = 48 * 12 * 3
    content[end - zeros : end] = bytes(zeros)
    path.write_bytes(content)
    assert findings(root, "constant") == {"train/ash/0.png": "its first 12 of 48 rows have one colour"}


def test_image_files_are_opened_in_one_module_only():
    """Every other module reads images through `image_reading`, which turns the errors of decoders into findings."""
    opening = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if "Image.open(" in path.read_text(encoding="utf-8")
    }
    in_memory = {"datasets/pipeline_steps.py", "speed/machine_rates.py"}  # a JPEG that they have just compressed
    assert opening == {"datasets/image_reading.py"} | in_memory


def test_an_empty_file_is_said_to_be_empty(tmp_path):
    """An interrupted download leaves a file without content."""
    (tmp_path / "1.jpg").touch()
    with pytest.raises(ImageError, match=r"1.jpg is empty"), decoded_image(tmp_path / "1.jpg"):
        pass
