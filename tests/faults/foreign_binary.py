"""Faults of MATLAB files and archives that other programs wrote, and of the answers of servers."""

import gzip
import hashlib
import random
import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from unittest.mock import patch

import numpy as np
from faults.case import Case
from faults.reading import Damage, flipped, shortened, survive
from raw_server import answer, raw_server
from scipy.io import savemat

from fgbench.datasets.matlab import read_matlab
from fgbench.util import download
from fgbench.util import matlab_files as reader
from fgbench.util.archive import extract


def matlab_files(folder: Path, rng: random.Random) -> Iterator[Case]:
    """Yield flipped bits and cuts of a compressed file, and flipped bits of an uncompressed one, which has no checksum.

    The reader starts a child process for each file whose checksums are right.
    """
    folder.mkdir(parents=True)
    cell = np.empty((1, 3), dtype=object)
    cell[0] = ["a name", np.arange(12.0).reshape(3, 4), {"field": np.int16([[1, 2]])}]
    for compressed in (True, False):
        savemat(folder / f"{compressed}.mat", {"cell": cell, "numbers": np.arange(40)}, do_compression=compressed)
    yield from chain.from_iterable(zip(*(_matlab(folder, kind, rng) for kind in (True, False)), strict=False))


def _matlab(folder: Path, compressed: bool, rng: random.Random) -> Iterator[Case]:
    path = folder / f"damaged {compressed}.mat"
    whole = (folder / f"{compressed}.mat").read_bytes()

    def read() -> object:
        return repr([read_matlab(path, name).tolist() for name in ("numbers", "cell")])

    path.write_bytes(whole)
    expected = read()

    def case(damage: Damage) -> None:
        path.write_bytes(damage(whole))
        with patch.object(reader, "LIMIT_S", 20.0):
            survive(read, expected, may_differ=not compressed)

    for number in range(400):
        damage = shortened(rng) if compressed and number % 8 == 7 else flipped(rng, 0 if number % 4 else 128)
        yield f"{'compressed' if compressed else 'uncompressed'} MATLAB file", partial(case, damage)


def archives(folder: Path, rng: random.Random) -> Iterator[Case]:
    """Yield flipped bits and cuts of a zip file and a compressed tar file."""
    source = folder / "source"
    (source / "inner").mkdir(parents=True)
    for number in range(4):
        (source / f"inner/{number}.txt").write_bytes(rng.randbytes(200) * number)
    with zipfile.ZipFile(folder / "whole.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(source.rglob("*")):
            archive.write(path, path.relative_to(source))
    with tarfile.open(folder / "whole.tgz", "w:gz") as tar:
        tar.add(source / "inner", "inner")
    expected = _files(source)
    damaged, into = folder / "damaged", folder / "unpacked"

    def read() -> object:
        shutil.rmtree(into, ignore_errors=True)
        return _files(extract(damaged, into))

    def case(whole: bytes, damage: Damage) -> None:
        damaged.write_bytes(damage(whole))
        survive(read, expected)
        assert not list(folder.glob(".*.fgbench-part")), "a temporary folder is left"

    contents = {"zip file": (folder / "whole.zip").read_bytes(), "tar file": (folder / "whole.tgz").read_bytes()}
    for number in range(400):
        for kind, whole in contents.items():
            yield kind, partial(case, whole, shortened(rng) if number % 5 == 4 else flipped(rng))


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


CONTENT = bytes(range(256)) * 8
ANSWERS = (
    *(answer(CONTENT, f"Content-Length: {length}") for length in ("abc", "-5", "", "7", "9999", "1e3", "0x10", "²")),
    answer(CONTENT, "Content-Length: " + "9" * 5000),
    answer(CONTENT, f"Content-Length: {len(CONTENT)}", "Content-Length: 9"),
    answer(CONTENT, f"Content-Length: {len(CONTENT)}", f"Content-Length: {len(CONTENT)}"),
    answer(CONTENT, "X: y"),
    answer(CONTENT, "X: " + "y" * 100_000),
    answer(CONTENT, *["X: y"] * 300),
    answer(CONTENT, "no field"),
    answer(CONTENT, "ETag: \xe4\x07", "Transfer-Encoding: chunked"),
    answer(b"5\r\nabc", "Transfer-Encoding: chunked"),
    answer(b"-5\r\nabcde\r\n0\r\n\r\n", "Transfer-Encoding: chunked"),
    answer(b"fffffffffffffffffffff\r\nabcde", "Transfer-Encoding: chunked"),
    answer(gzip.compress(CONTENT), "Content-Encoding: gzip"),
    *(answer(b"", *headers, status=status) for status, headers in (
        ("206 Partial Content", ("Content-Range: bytes 5-9/3",)), ("206 Partial Content", ("Content-Range: x",)),
        ("206 Partial Content", ()), ("416 Range", ("Content-Range: bytes */x",)), ("204 No Content", ()),
        ("302 Found", ("Location: /file.bin",)), ("302 Found", ("Location: file:///etc/hosts",)),
        ("302 Found", ("Location: http://[bad",)), ("302 Found", ("Location: \x07",)), ("302 Found", ()),
        ("503 Busy", ("Retry-After: soon",)), ("429 Slow", ("Retry-After: " + "9" * 5000,)), ("404 None", ()),
        ("401 Who", ("WWW-Authenticate: x",)), ("100 Continue", ()), ("999 Odd", ()), ("99 Odd", ()),
    )),
    *(b"", b"\x00" * 100, b"HTTP/1.1", b"HTTP/9.9 200 OK\r\n\r\n", b"<html>" * 50, b"HTTP/1.1 abc OK\r\n\r\n"),
)  # fmt: skip


def http_answers(folder: Path, rng: random.Random) -> Iterator[Case]:
    """Yield odd answers of a server, alone and after an answer that drops the connection; and flipped bits."""
    folder.mkdir(parents=True)
    whole = answer(CONTENT, f"Content-Length: {len(CONTENT)}", 'ETag: "a"')
    for answers in chain(
        ([odd] for odd in ANSWERS),
        ([whole[:-500], odd, odd, odd, whole] for odd in ANSWERS),
        ([flipped(rng)(whole), whole] for _ in range(100)),
    ):
        yield "HTTP answer", partial(_download, folder / "file", answers)


def _download(path: Path, answers: list[bytes]) -> None:
    for left in path.parent.iterdir():
        left.unlink()
    digest = hashlib.sha256(CONTENT).hexdigest()
    with (
        raw_server() as server,
        patch.multiple(download, BACKOFF_S=0.0, MAX_WAIT_S=0.0, TIMEOUT_S=5.0),
    ):
        server.answers = list(answers)
        survive(lambda: download.fetch(server.url, path, sha256=digest).read_bytes(), CONTENT)
    assert not path.exists() or path.read_bytes() == CONTENT
