"""Pixel modes, transparency, orientation: the values that a network gets, against computations without Pillow."""

import struct
import zlib

import numpy as np
import pytest
from own_folders import fill
from PIL import Image, features

from fgbench.datasets import find
from fgbench.datasets.check import check
from fgbench.datasets.image_files import ImageFiles
from fgbench.datasets.image_reading import ImageError, decoded_image
from fgbench.datasets.pipeline import Pipeline
from fgbench.datasets.pixel_cache import cached_pixels
from fgbench.util.errors import FgbenchError

SIDE = 8
PIPELINE = Pipeline.parse(f"center_crop({SIDE})")
RAMP = np.linspace(0, 65535, SIDE * SIDE).astype(np.uint16).reshape(SIDE, SIDE)
"""Grey values over the whole range of 16 bits."""
RANDOM = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 4), np.uint8)


def read(path):
    """Return the pixels of one image (8, 8, 3), as a network gets them."""
    return ImageFiles([path], PIPELINE)[:][0].astype(int)


def saved(path, pixels, mode=None, **options):
    image = Image.fromarray(pixels) if mode is None else Image.frombytes(mode, (SIDE, SIDE), pixels.tobytes())
    image.save(path, **options)
    return path


def tiff(path, data, bits, photometric, order="<"):
    """Write a grey TIFF file without compression; Pillow cannot write every kind."""
    entries = {256: SIDE, 257: SIDE, 258: bits, 259: 1, 262: photometric, 273: 122, 277: 1, 278: SIDE, 279: len(data)}
    shorts = b"".join(struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0) for tag, value in entries.items())
    start = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HIH", 42, 8, len(entries))
    path.write_bytes((start + shorts + bytes(4)).ljust(122, b"\0") + data)
    return path


def eight_bits(values, largest=65535):
    return np.floor(values.astype(float) * 255 / largest + 0.5).astype(int)


def png(path, pixels):
    """Write an RGB image of 16 bits a channel, which Pillow cannot write."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 16, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    return path


def on_white(colours, alpha):
    share = alpha[..., None] / 255
    return colours * share + 255 * (1 - share)


def notes(root):
    result = check(find(f"imagefolder:{root}").index())
    return {(f.kind, f.file): f.what for f in [*result.problems, *result.notes] if f.kind in {"corrupt", "reading"}}


@pytest.mark.parametrize("kind", ["png", "tif", "big-endian tif", "pgm", "white is 0", "12 bits"])
def test_grey_images_of_16_bits_are_scaled_by_their_range(tmp_path, kind):
    """Values above 255 became 255, so that the image was white. Reported for Pillow: #2574, #3011, #1108, #3159."""
    expected = eight_bits(RAMP)
    if kind == "big-endian tif":
        path = tiff(tmp_path / "a.tif", RAMP.astype(">u2").tobytes(), 16, 1, ">")
    elif kind == "white is 0":
        path, expected = tiff(tmp_path / "a.tif", RAMP.tobytes(), 16, 0), 255 - expected
    elif kind == "12 bits":
        low, high = RAMP.ravel()[::2] >> 4, RAMP.ravel()[1::2] >> 4
        packed = np.stack([low >> 4, (low & 15) << 4 | high >> 8, high & 255], -1).astype(np.uint8)
        path, expected = tiff(tmp_path / "a.tif", packed.tobytes(), 12, 1), eight_bits(RAMP >> 4, 4095)
    else:
        path = saved(tmp_path / f"a.{kind}", RAMP)
    assert (read(path) == expected[..., None]).all()


def test_the_same_grey_values_in_8_and_16_bits_are_equal_pixels(tmp_path):
    """A factor of 257 maps 8 to 16 bits. Reported for Pillow: #3159, conversion should scale the values."""
    grey = RANDOM[..., 0]
    eight, sixteen = saved(tmp_path / "8.png", grey), saved(tmp_path / "16.png", grey.astype(np.uint16) * 257)
    np.testing.assert_array_equal(read(eight), read(sixteen))


def test_colours_of_16_bits_lose_their_lower_8_bits(tmp_path):
    """The upper byte of each channel is read. Reported for unsloth: #10094 (16 bits that were clipped)."""
    colours = np.random.default_rng(2).integers(0, 65536, (SIDE, SIDE, 3))
    np.testing.assert_array_equal(read(png(tmp_path / "a.png", colours)), colours >> 8)


def test_a_file_is_read_by_its_content_and_the_first_of_several_images_counts(tmp_path):
    """A wrong suffix changes nothing. Reported for darknet: #5293 (files named .jpg in another format)."""
    first, second = (Image.fromarray(RANDOM[..., k] // 2) for k in range(2))
    first.save(tmp_path / "a.jpg", format="TIFF", save_all=True, append_images=[second])
    np.testing.assert_array_equal(read(tmp_path / "a.jpg"), (RANDOM[..., 0] // 2)[..., None].repeat(3, -1))


def test_the_pixel_cache_and_the_check_see_the_scaled_values(tmp_path, monkeypatch):
    """The cache held white images, and the check passed them. Reported for Pillow: #5991, #274."""
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "cache"))
    root = fill(tmp_path / "leaves")
    saved(root / "train/ash/0.png", RAMP)
    index = find(f"imagefolder:{root}").index()
    pixels = cached_pixels(index, PIPELINE)[index.files.index("train/ash/0.png")]
    assert (pixels == eight_bits(RAMP)[..., None]).all()
    assert notes(root) == {("reading", "train/ash/0.png"): "values from 0 to 65535 of 0 to 65535 are scaled to 8 bits"}


@pytest.mark.parametrize(("dtype", "name"), [(np.float32, "a.tif"), (np.int32, "a.tif"), (np.float32, "a.pfm")])
def test_numbers_of_32_bits_are_refused_by_name_because_their_range_is_not_known(tmp_path, monkeypatch, dtype, name):
    """Values from 0 to 1 became black, others were clipped. Reported for Pillow: #3159, #5465, #7333."""
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "cache"))
    path = saved(tmp_path / name, RAMP.astype(dtype) / dtype(2))
    with pytest.raises(FgbenchError, match=r"range is not known: save it with 8 or 16 bits") as caught:
        ImageFiles([path], PIPELINE).check()
    assert str(path) in str(caught.value)
    root = fill(tmp_path / "leaves")
    path.replace(root / "train/ash/0.png")
    assert "range is not known" in notes(root)["corrupt", "train/ash/0.png"]
    with pytest.raises(FgbenchError, match=r"ash/0.png has .* range is not known.*\n  fgbench data check imagefolder:"):
        cached_pixels(find(f"imagefolder:{root}").index(), PIPELINE)


def test_transparent_pixels_are_composited_on_white(tmp_path):
    """The colours below transparent pixels, which no viewer shows, became visible.

    Reported for kohya-ss/sd-scripts: #1269; discussed for torchvision: #5510.
    """
    colours, alpha = RANDOM[..., :3], RANDOM[..., 3].copy()
    alpha[0], alpha[1] = 0, 255
    path = saved(tmp_path / "rgba.png", np.dstack([colours, alpha]))
    assert abs(read(path) - on_white(colours, alpha)).max() <= 1
    assert (read(path)[0] == 255).all()
    assert (read(path)[1] == colours[1]).all()
    if features.check("webp"):
        path = saved(tmp_path / "rgba.webp", np.dstack([colours, alpha]), lossless=True, exact=True)
        assert abs(read(path) - on_white(colours, alpha)).max() <= 1
    grey = saved(tmp_path / "la.png", np.dstack([colours[..., 0], alpha]), "LA")
    assert abs(read(grey) - on_white(colours[..., :1], alpha)).max() <= 1


@pytest.mark.parametrize("kind", ["png", "gif", "key colour", "16 bits"])
def test_transparency_without_an_alpha_channel_is_composited_on_white(tmp_path, kind):
    """Palette entries and key colours may be transparent. Reported for NVIDIA/DIGITS: #85."""
    codes = RANDOM[..., 0] % 4
    palette = np.array([[9, 99, 199], [255, 0, 0], [0, 255, 0], [1, 2, 3]], np.uint8)
    expected = palette[codes].astype(int)
    if kind in {"png", "gif"}:
        image = Image.fromarray(codes, "L").copy()
        image.putpalette(palette.tobytes())
        image.save(tmp_path / f"a.{kind}", transparency=2)
    elif kind == "key colour":
        saved(tmp_path / "a.key colour", palette[codes], format="PNG", transparency=(0, 255, 0))
    else:
        expected = (codes * 80)[..., None].repeat(3, -1).astype(int)
        saved(tmp_path / "a.16 bits", codes.astype(np.uint16) * 80 * 257, format="PNG", transparency=2 * 80 * 257)
    expected[codes == 2] = 255
    np.testing.assert_array_equal(read(tmp_path / f"a.{kind}"), expected)


def test_opaque_images_with_an_alpha_channel_keep_their_values_without_a_note(tmp_path):
    """An alpha channel of 255 changes nothing. Asked for NVlabs/RADIO: #110."""
    root = fill(tmp_path / "leaves")
    opaque = RANDOM.copy()
    opaque[..., 3] = 255
    np.testing.assert_array_equal(read(saved(root / "train/ash/0.png", opaque)), opaque[..., :3])
    clear = opaque.copy()
    clear[0, 0, 3] = 0
    saved(root / "train/ash/1.png", clear)
    assert notes(root) == {("reading", "train/ash/1.png"): "transparent pixels are read as white"}


def test_palettes_and_black_and_white_have_the_colours_of_their_tables(tmp_path):
    """The values of the tables. Reported for Urcheon: #61 (grey images that became black and white)."""
    palette = np.random.default_rng(1).integers(0, 256, (256, 3), np.uint8)
    image = Image.fromarray(RANDOM[..., 0], "L").copy()
    image.putpalette(palette.tobytes())
    image.save(tmp_path / "p.png")
    np.testing.assert_array_equal(read(tmp_path / "p.png"), palette[RANDOM[..., 0]])
    bits = RANDOM[..., 0] > 127
    saved(tmp_path / "1.png", bits)
    np.testing.assert_array_equal(read(tmp_path / "1.png"), (bits * 255)[..., None].repeat(3, -1))


def test_cmyk_is_the_product_of_the_remaining_light(tmp_path):
    """(1 - C)(1 - K), without a colour profile; told. Inverted colours are reported for libvips: #1313."""
    expected = (255.0 - RANDOM[..., :3]) * (255.0 - RANDOM[..., 3:]) / 255
    assert abs(read(saved(tmp_path / "a.tif", RANDOM, "CMYK")) - expected).max() <= 1
    flat = np.full_like(RANDOM, (200, 40, 10, 60))
    root = fill(tmp_path / "leaves")
    path = saved(root / "train/ash/0.jpg", flat, "CMYK", quality=100)
    assert abs(read(path) - (255.0 - flat[..., :3]) * (255.0 - 60) / 255).max() <= 3
    assert notes(root) == {("reading", "train/ash/0.jpg"): "CMYK is converted to RGB without its colour profile"}


def test_ycbcr_is_converted_as_jfif_says(tmp_path):
    """The equations of JFIF 1.02, page 3."""
    y, blue, red = (RANDOM[..., k].astype(float) for k in range(3))
    blue, red = blue - 128, red - 128
    expected = np.stack([y + 1.402 * red, y - 0.344136 * blue - 0.714136 * red, y + 1.772 * blue], -1).clip(0, 255)
    path = saved(tmp_path / "a.tif", np.ascontiguousarray(RANDOM[..., :3]), "YCbCr")
    assert abs(read(path) - expected).max() <= 2


@pytest.mark.skipif(not features.check("littlecms2"), reason="Pillow without Little CMS")
def test_lab_is_converted_through_d50_to_srgb(tmp_path):
    """CIE L*a*b* of TIFF has the white point D50. Asked for Pillow: #6643."""
    lab = np.array([[60, 20, 30], [50, 0, 0], [80, -30, 20], [30, 10, -20]], float)
    codes = np.round(lab * (2.55, 1, 1)).astype(int)
    pixels = (codes & 255).astype(np.uint8)[np.arange(SIDE * SIDE) % 4].reshape(SIDE, SIDE, 3)
    path = saved(tmp_path / "a.tif", pixels, "LAB")
    # CIE 15:2004 for XYZ, Bradford to D65, and IEC 61966-2-1 for sRGB.
    f = (lab[:, 0] + 16) / 116
    f = np.stack([f + lab[:, 1] / 500, f, f - lab[:, 2] / 200], -1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * (0.9642, 1.0, 0.8249)
    to_srgb = [[3.13386, -1.61687, -0.49062], [-0.97877, 1.91614, 0.03345], [0.07194, -0.22899, 1.40524]]
    linear = (xyz @ np.array(to_srgb).T).clip(0, 1)
    expected = 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    with Image.open(path) as stored:
        assert stored.mode == "LAB"
    assert abs(read(path)[0, :4] - expected).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_not_applied_and_is_told(tmp_path, orientation):
    """Boxes and keypoints are in stored pixels; rotated pixels would not fit them.

    Reported for torchvision: #7977, Hugging Face datasets: #6252, NVIDIA DALI: #3120, tensorflow: #49834.
    """
    exif = Image.Exif()
    exif[0x0112] = orientation
    root = fill(tmp_path / "leaves")
    path = saved(root / "train/ash/0.png", RANDOM[..., :3].copy(), exif=exif)
    np.testing.assert_array_equal(read(path), RANDOM[..., :3])
    assert ImageFiles([path], PIPELINE).sizes() == [(SIDE, SIDE)]
    told = ImageFiles([path], PIPELINE).check()
    text = "its EXIF orientation is not applied: a viewer shows it rotated or mirrored"
    assert told == ("" if orientation == 1 else text,)
    assert notes(root) == ({} if orientation == 1 else {("reading", "train/ash/0.png"): text})


@pytest.mark.parametrize("name", ["EPS", "PDF", "FITS"])
def test_files_that_are_no_photographs_are_refused_although_pillow_opens_them(tmp_path, name):
    """Pillow decodes EPS by starting the program Ghostscript."""
    starts = {"EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n", "PDF": b"%PDF-1.4\n",
              "FITS": b"SIMPLE  =                    T"}  # fmt: skip
    file = tmp_path / "1.jpg"
    file.write_bytes(starts[name].ljust(3000, b" "))
    with pytest.raises(ImageError, match=r"1.jpg is not an image in a format that is read"), decoded_image(file):
        pass
