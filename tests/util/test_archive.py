"""Unpacking of good, malicious and damaged archives."""

import errno
import gzip
import io
import os
import shutil
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from fgbench.util.archive import extract
from fgbench.util.errors import FgbenchError


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def add(
    tar: tarfile.TarFile, name: str, content: bytes = b"bird", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    member.size = len(content) if kind == tarfile.REGTYPE else 0
    tar.addfile(member, io.BytesIO(content))


def make_tar(path: Path, *members: tuple[object, ...], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for member in members:
            add(tar, *member)  # type: ignore[arg-type]
    return path


def make_zip(path: Path, *members: tuple[str, bytes, int]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content, mode in members:
            info = zipfile.ZipInfo(name)
            info.filename = name
            info.external_attr = mode << 16
            file.writestr(info, content)
    return path


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_extract_tar(tmp_path: Path, mode: str) -> None:
    archive = make_tar(
        tmp_path / "archive",
        ("./birds", b"", tarfile.DIRTYPE),
        ("./birds/a.txt",),
        ("birds/hard", b"", tarfile.LNKTYPE, "birds/a.txt"),
        ("birds/soft", b"", tarfile.SYMTYPE, "../birds/a.txt"),
        ("new/deep/b.txt", b"b"),
        ("new/deep/b.txt", b"newer"),
        mode=mode,
    )
    into = extract(archive, tmp_path / "deep" / "into")
    assert sorted(str(path.relative_to(into)) for path in into.rglob("*") if path.is_file()) == [
        *("birds/a.txt", "birds/hard", "birds/soft", "new/deep/b.txt")
    ]
    assert (into / "birds/hard").read_bytes() == b"bird"
    assert (into / "birds/soft").read_bytes() == b"bird"
    assert (into / "new/deep/b.txt").read_bytes() == b"newer"
    assert [path.name for path in into.parent.iterdir()] == ["into"]


def test_extract_zip(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.tgz", ("d/", b"", 0), ("d/a.txt", b"bird", 0), ("e/b.txt", b"b", 0o100644))
    into = tmp_path / "into"
    into.mkdir()
    assert (extract(archive, into) / "d/a.txt").read_bytes() == b"bird"
    assert names(into) == {"d", "e"}


def test_extract_keeps_existing_files(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "archive", ("a.txt",))
    with pytest.raises(FgbenchError, match="in the way"):
        extract(archive, tmp_path)
    with pytest.raises(FgbenchError, match="no file"):
        extract(tmp_path / "none", tmp_path / "into")


LINK, HARD = tarfile.SYMTYPE, tarfile.LNKTYPE
MALICIOUS_TARS = {
    "absolute": [("/evil",)],
    "up": [("../evil",)],
    "up within": [("a/../../evil",)],
    "backslash up": [("..\\evil",)],
    "up folder": [("../evil", b"", tarfile.DIRTYPE)],
    "link to absolute": [("l", b"", LINK, "/etc")],
    "link up": [("l", b"", LINK, "..")],
    "link up from a folder": [("a/b", b""), ("a/l", b"", LINK, "../../x")],
    "link up behind a link": [("a/l", b"", LINK, ".."), ("m", b"", LINK, "a/l/..")],
    "link up behind a later link": [("m", b"", LINK, "a/l/.."), ("a/l", b"", LINK, "..")],
    "link to nothing": [("l", b"", LINK, "none")],
    "link to itself": [("l", b"", LINK, "l")],
    "write through a link": [("l", b"", LINK, "."), ("l/evil",)],
    "write through a link out": [("l", b"", LINK, "../outside"), ("l/evil",)],
    "write onto a link": [("l", b"", LINK, "a"), ("l",)],
    "link behind a link": [("d/f",), ("l", b"", LINK, "d"), ("l/m", b"", LINK, "..")],
    "hard link to absolute": [("h", b"", HARD, "/etc/hosts")],
    "hard link up": [("h", b"", HARD, "../secret")],
    "hard link behind a link": [("l", b"", LINK, "."), ("h", b"", HARD, "l/../secret")],
    "hard link to a link": [("l", b"", LINK, "f"), ("h", b"", HARD, "l")],
    "fifo": [("f", b"", tarfile.FIFOTYPE)],
    "character device": [("d", b"", tarfile.CHRTYPE)],
    "block device": [("d", b"", tarfile.BLKTYPE)],
}


@pytest.mark.parametrize("members", MALICIOUS_TARS.values(), ids=MALICIOUS_TARS)
def test_a_malicious_tar_writes_nothing(tmp_path: Path, members: list[tuple[object, ...]]) -> None:
    archive = make_tar(tmp_path / "evil.tgz", ("good.txt",), *members)
    (tmp_path / "secret").write_text("secret")
    with pytest.raises(FgbenchError, match="refused"):
        extract(archive, tmp_path / "into")
    assert names(tmp_path) == {"evil.tgz", "secret"}
    assert (tmp_path / "secret").read_text() == "secret"


@pytest.mark.parametrize("steps", [8, 14, 15, 16])
def test_a_link_through_a_path_too_long_to_resolve_writes_nothing(tmp_path: Path, steps: int) -> None:
    """CVE-2025-4517: `os.path.realpath` stops at PATH_MAX, so that the data filter takes the link for a safe one."""
    folder, letters, members = "", "abcdefghijklmnop"[:steps], []
    for letter in letters:
        members += [(f"{folder}{'d' * 247}", b"", tarfile.DIRTYPE), (f"{folder}{letter}", b"", LINK, "d" * 247)]
        folder += f"{'d' * 247}/"
    long = f"{'/'.join(letters)}/{'l' * 254}"
    members += [(long, b"", LINK, "../" * steps), ("out", b"", LINK, f"{long}/../../outside"), ("out/evil",)]
    archive = make_tar(tmp_path / "evil.tgz", *members)
    (tmp_path / "outside").mkdir()
    with pytest.raises(FgbenchError):
        extract(archive, tmp_path / "into")
    assert names(tmp_path) == {"evil.tgz", "outside"}
    assert names(tmp_path / "outside") == set()


@pytest.mark.parametrize(
    "member",
    [
        ("/evil", b"", 0),
        ("../evil", b"", 0),
        ("a/../../evil", b"", 0),
        ("..\\evil", b"", 0),
        ("l", b"good.txt", stat.S_IFLNK | 0o777),
        ("l", b"../secret", stat.S_IFLNK | 0o777),
        ("l", b"/etc/hosts", stat.S_IFLNK | 0o777),
        ("f", b"", stat.S_IFIFO | 0o666),
        ("d", b"", stat.S_IFBLK | 0o666),
    ],
    ids=lambda member: f"{member[0]} {member[2]:o}",
)
def test_a_malicious_zip_writes_nothing(tmp_path: Path, member: tuple[str, bytes, int]) -> None:
    archive = make_zip(tmp_path / "evil.zip", ("good.txt", b"", 0), member)
    with pytest.raises(FgbenchError, match="refused"):
        extract(archive, tmp_path / "into")
    assert names(tmp_path) == {"evil.zip"}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz", "zip"])
@pytest.mark.parametrize("share", [0.0001, 0.3, 0.5, 0.9, 0.97])
def test_a_truncated_archive_is_an_error(tmp_path: Path, mode: str, share: float) -> None:
    members = [(f"{number}.bin", os.urandom(5000)) for number in range(6)]
    archive = tmp_path / "archive"
    if mode == "zip":
        make_zip(archive, *((name, content, 0) for name, content in members))
    else:
        make_tar(archive, *members, mode=mode)
    # An uncompressed tar is padded with zeros at its end.
    whole = 6 * (512 + 5120) if mode == "w" else archive.stat().st_size
    os.truncate(archive, int(whole * share))
    with pytest.raises(FgbenchError):
        extract(archive, tmp_path / "into")
    assert names(tmp_path) == {"archive"}


def test_a_tar_that_ends_between_two_members_is_an_error(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "archive", ("a",), ("b",), mode="w")
    for length in (1024, 1024 + 300, 2048):
        os.truncate(archive, length)
        with pytest.raises(FgbenchError, match="too early"):
            extract(archive, tmp_path / "into")
        make_tar(tmp_path / "archive", ("a",), ("b",), mode="w")


@pytest.mark.parametrize("content", [b"", b"<html>not here</html>", gzip.compress(b"no tar", mtime=0), b"PK\3\4"])
def test_another_format_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "archive.tgz").write_bytes(content)
    with pytest.raises(FgbenchError):
        extract(tmp_path / "archive.tgz", tmp_path / "into")


def test_a_flipped_bit_is_an_error(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "archive", ("a", os.urandom(5000)))
    content = bytearray(archive.read_bytes())
    content[-6] ^= 1  # in the checksum of gzip
    archive.write_bytes(content)
    with pytest.raises(FgbenchError, match="damaged"):
        extract(archive, tmp_path / "into")


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_an_archive_larger_than_the_free_space_writes_nothing(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "archive"
    content = bytes(200_000)
    if kind == "tar":
        make_tar(archive, ("small", b""), ("large", content))
    else:
        make_zip(archive, ("small", b"", 0), ("large", content, 0))
    space = shutil.disk_usage(tmp_path)._replace(free=199_999)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: space)
    with pytest.raises(FgbenchError, match="is full: 200000 bytes are needed, 199999 bytes are free") as caught:
        extract(archive, tmp_path / "into")
    assert caught.value.hint
    assert names(tmp_path) == {"archive"}


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_a_disk_that_fills_up_keeps_nothing(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "archive"
    if kind == "tar":
        make_tar(archive, ("a", b"bird"))
    else:
        make_zip(archive, ("a", b"bird", 0))

    def fail(*args: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tarfile if kind == "tar" else shutil, "copyfileobj", fail)
    with pytest.raises(FgbenchError, match=r"the disk of .* is full"):
        extract(archive, tmp_path / "into")
    assert names(tmp_path) == {"archive"}


def test_a_file_in_the_place_of_a_folder_is_an_error(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "archive", ("a",))
    (tmp_path / "file").write_text("file")
    with pytest.raises(FgbenchError, match="file is a file, not a folder"):
        extract(archive, tmp_path / "file" / "into")
    assert names(tmp_path) == {"archive", "file"}
