"""Downloads and archives, against a server on this machine and archives that mean harm."""

import gzip
import hashlib
import io
import os
import shutil
import stat
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fgbench import download
from fgbench.download import extract, fetch
from fgbench.errors import FgbenchError

CONTENT = os.urandom(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()


@dataclass
class Server:
    """What the server does, and what it was asked for."""

    url: str = ""
    content: bytes = CONTENT
    etag: str = '"one"'
    modified: str = ""
    ranges: bool = True
    honest: bool = True
    """False to continue a file without looking at If-Range."""
    status: list[int] = field(default_factory=list)
    """States of the answers to come before the file is sent."""
    drop_after: list[int] = field(default_factory=list)
    """Bytes after which the answers to come drop the connection."""
    requests: list[dict[str, str]] = field(default_factory=list)
    sent: list[tuple[int, int]] = field(default_factory=list)
    """Start and end of what each answer sent."""
    chunked: bool = False


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(download, "BACKOFF_S", 0.0)
    monkeypatch.setattr(download, "TIMEOUT_S", 5.0)
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            self.close_connection = True
            state.requests.append({name.lower(): value for name, value in self.headers.items()})
            if state.status:
                self.send_error(state.status.pop(0))
                return
            start = 0
            asked = self.headers.get("Range", "")
            same = self.headers.get("If-Range") == (state.etag or state.modified)
            if state.ranges and asked and (same or not state.honest):
                start = int(asked.removeprefix("bytes=").split("-")[0])
                if start >= len(state.content):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(state.content)}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(state.content) - 1}/{len(state.content)}")
            else:
                self.send_response(200)
            for name, value in (("ETag", state.etag), ("Last-Modified", state.modified)):
                if value:
                    self.send_header(name, value)
            body = state.content[start:]
            if state.chunked:
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
                return
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if state.drop_after:
                body = body[: state.drop_after.pop(0)]
            self.wfile.write(body)
            state.sent.append((start, start + len(body)))

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        state.url = f"http://127.0.0.1:{http.server_address[1]}/weights.bin"
        yield state
        http.shutdown()
        thread.join()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


def test_full(server: Server, tmp_path: Path) -> None:
    path = fetch(server.url, tmp_path / "new" / "weights.bin", sha256=SHA256, md5=MD5, size=len(CONTENT))
    assert path.read_bytes() == CONTENT
    assert names(path.parent) == {"weights.bin"}


def test_a_right_file_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(CONTENT)
    fetch(server.url, tmp_path / "weights.bin", sha256=SHA256[:8])
    assert server.requests == []


def test_a_wrong_file_is_replaced_once_the_right_one_is_here(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"old")
    server.status = [404]
    with pytest.raises(FgbenchError, match="404"):
        fetch(server.url, path, sha256=SHA256)
    assert path.read_bytes() == b"old"
    assert fetch(server.url, path, sha256=SHA256).read_bytes() == CONTENT


@pytest.mark.parametrize(("etag", "modified"), [('"one"', ""), ("", "Wed, 01 Jan 2020 00:00:00 GMT")])
def test_resumes_where_the_server_dropped(server: Server, tmp_path: Path, etag: str, modified: str) -> None:
    server.etag, server.modified, server.drop_after = etag, modified, [100_000, 50_000]
    path = fetch(server.url, tmp_path / "weights.bin", sha256=SHA256)
    assert path.read_bytes() == CONTENT
    assert [request.get("range") for request in server.requests] == [None, "bytes=100000-", "bytes=150000-"]
    assert server.requests[1]["if-range"] == (etag or modified)
    assert server.sent == [(0, 100_000), (100_000, 150_000), (150_000, 300_000)]  # no byte twice


def test_resumes_in_another_call(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "ATTEMPTS", 0)
    server.drop_after = [100_000]
    with pytest.raises(FgbenchError, match="dropped after 100000 of 300000 bytes"):
        fetch(server.url, tmp_path / "weights.bin", sha256=SHA256)
    assert names(tmp_path) == {"weights.bin.part", "weights.bin.part.json"}
    assert fetch(server.url, tmp_path / "weights.bin", sha256=SHA256).read_bytes() == CONTENT
    assert server.sent == [(0, 100_000), (100_000, 300_000)]


@pytest.mark.parametrize("honest", [True, False])
def test_a_file_that_changed_starts_over(server: Server, tmp_path: Path, honest: bool) -> None:
    path = tmp_path / "weights.bin"
    part = download._Part(server.url, path.with_name("weights.bin.part"))
    part.path.write_bytes(b"x" * 1000)
    part.note.write_text(f'{{"url": "{server.url}", "validator": "\\"old\\""}}')
    server.honest = honest
    assert fetch(server.url, path, sha256=SHA256).read_bytes() == CONTENT
    assert server.sent[-1] == (0, len(CONTENT))
    assert server.requests[0]["range"] == "bytes=1000-"


def test_a_part_from_another_address_starts_over(server: Server, tmp_path: Path) -> None:
    (tmp_path / "weights.bin.part").write_bytes(b"x" * 1000)
    (tmp_path / "weights.bin.part.json").write_text('{"url": "http://elsewhere/", "validator": "\\"one\\""}')
    assert fetch(server.url, tmp_path / "weights.bin", sha256=SHA256).read_bytes() == CONTENT
    assert "range" not in server.requests[0]


@pytest.mark.parametrize(("length", "asked"), [(len(CONTENT), 1), (len(CONTENT) + 10, 2)])
def test_a_part_of_full_length(server: Server, tmp_path: Path, length: int, asked: int) -> None:
    # The server says 416: the part is all there is, or the beginning of another file.
    (tmp_path / "weights.bin.part").write_bytes((CONTENT + bytes(10))[:length])
    (tmp_path / "weights.bin.part.json").write_text(f'{{"url": "{server.url}", "validator": "\\"one\\""}}')
    assert fetch(server.url, tmp_path / "weights.bin", sha256=SHA256).read_bytes() == CONTENT
    assert len(server.requests) == asked


def test_a_server_without_ranges_starts_over(server: Server, tmp_path: Path) -> None:
    server.ranges, server.drop_after = False, [100_000]
    assert fetch(server.url, tmp_path / "weights.bin", sha256=SHA256).read_bytes() == CONTENT
    assert server.sent == [(0, 100_000), (0, 300_000)]


def test_a_server_that_always_drops_at_the_same_byte_is_given_up(server: Server, tmp_path: Path) -> None:
    server.ranges, server.drop_after = False, [100_000] * 20
    with pytest.raises(FgbenchError, match="dropped"):
        fetch(server.url, tmp_path / "weights.bin", sha256=SHA256)
    assert len(server.requests) == 1 + download.ATTEMPTS


def test_without_a_validator_nothing_is_continued(server: Server, tmp_path: Path) -> None:
    server.etag, server.drop_after = "", [100_000]
    assert fetch(server.url, tmp_path / "weights.bin", sha256=SHA256).read_bytes() == CONTENT
    assert "range" not in server.requests[1]


def test_a_length_nobody_tells(server: Server, tmp_path: Path) -> None:
    server.chunked = True
    assert fetch(server.url, tmp_path / "weights.bin", sha256=SHA256).read_bytes() == CONTENT


@pytest.mark.parametrize("kind", ["sha256", "md5"])
def test_a_wrong_checksum_keeps_nothing(server: Server, tmp_path: Path, kind: str) -> None:
    wrong = "0" * (64 if kind == "sha256" else 32)
    with pytest.raises(FgbenchError) as caught:
        fetch(server.url, tmp_path / "weights.bin", **{kind: wrong})  # type: ignore[arg-type]
    assert wrong in str(caught.value)
    assert (SHA256 if kind == "sha256" else MD5) in str(caught.value)
    assert names(tmp_path) == set()


def test_a_wrong_size_is_seen_before_the_bytes_come(server: Server, tmp_path: Path) -> None:
    with pytest.raises(FgbenchError, match="300000 bytes, the published file 299999"):
        fetch(server.url, tmp_path / "weights.bin", size=299_999)
    assert names(tmp_path) == set()


@pytest.mark.parametrize(("status", "word"), [(404, "has no"), (403, "refuses"), (410, "no longer")])
def test_a_refusal_is_told(server: Server, tmp_path: Path, status: int, word: str) -> None:
    server.status = [status]
    with pytest.raises(FgbenchError, match=f"{word}.*HTTP {status}"):
        fetch(server.url, tmp_path / "weights.bin")
    assert len(server.requests) == 1


def test_a_server_that_fails_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.status = [503, 500]
    assert fetch(server.url, tmp_path / "weights.bin", sha256=SHA256).read_bytes() == CONTENT
    server.status = [500] * 20
    with pytest.raises(FgbenchError, match="HTTP 500"):
        fetch(server.url, tmp_path / "other.bin")


def test_no_network(server: Server, tmp_path: Path) -> None:
    for url in ("http://127.0.0.1:9/file", "http://nowhere.invalid/file"):
        with pytest.raises(FgbenchError, match="cannot reach"):
            fetch(url, tmp_path / "file")


@pytest.mark.parametrize("url", ["file:///etc/hosts", "http://host:port/x", "http:// /x", "weights.bin"])
def test_what_is_no_address_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(FgbenchError):
        fetch(url, tmp_path / "file")


def test_a_full_disk(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: full)
    with pytest.raises(FgbenchError, match=r"is full: 300000 bytes are to come, 1000 bytes are free"):
        fetch(server.url, tmp_path / "weights.bin")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_disk_that_fills_up_while_writing(server: Server, tmp_path: Path) -> None:
    (tmp_path / "weights.bin.part").symlink_to("/dev/full")
    with pytest.raises(FgbenchError, match="is full"):
        fetch(server.url, tmp_path / "weights.bin")


def test_two_at_once_fetch_once(server: Server, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(lambda _: fetch(server.url, tmp_path / "weights.bin", sha256=SHA256), range(2)))
    assert paths[0].read_bytes() == CONTENT
    assert len(server.requests) == 1


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
        ("birds/a.txt", b"newer"),
        mode=mode,
    )
    into = extract(archive, tmp_path / "deep" / "into")
    assert sorted(str(path.relative_to(into)) for path in into.rglob("*") if path.is_file()) == [
        *("birds/a.txt", "birds/hard", "birds/soft", "new/deep/b.txt")
    ]
    assert (into / "birds/hard").read_bytes() == b"bird"
    assert (into / "birds/soft").read_bytes() == b"newer"
    assert [path.name for path in into.parent.iterdir()] == ["into"]


def test_extract_zip(tmp_path: Path) -> None:
    archive = make_zip(
        tmp_path / "a.tgz", ("d/", b"", 0), ("d/a.txt", b"bird", 0), ("l", b"d/a.txt", stat.S_IFLNK | 0o777)
    )
    into = tmp_path / "into"
    into.mkdir()
    assert (extract(archive, into) / "l").read_bytes() == b"bird"


def test_extract_leaves_what_is_there(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "archive", ("a.txt",))
    with pytest.raises(FgbenchError, match="in the way"):
        extract(archive, tmp_path)
    with pytest.raises(FgbenchError, match="no file"):
        extract(tmp_path / "none", tmp_path / "into")


LINK, HARD = tarfile.SYMTYPE, tarfile.LNKTYPE
EVIL_TARS = {
    "absolute": [("/evil",)],
    "up": [("../evil",)],
    "up within": [("a/../../evil",)],
    "backslash up": [("..\\evil",)],
    "up folder": [("../evil", b"", tarfile.DIRTYPE)],
    "link to absolute": [("l", b"", LINK, "/etc")],
    "link up": [("l", b"", LINK, "..")],
    "link up from a folder": [("a/b", b""), ("a/l", b"", LINK, "../../x")],
    "link up behind a link": [("a/l", b"", LINK, ".."), ("m", b"", LINK, "a/l/..")],
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


@pytest.mark.parametrize("filtered", [True, False])
@pytest.mark.parametrize("members", EVIL_TARS.values(), ids=EVIL_TARS)
def test_an_evil_tar_writes_nothing(
    tmp_path: Path, members: list[tuple[object, ...]], filtered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not filtered:  # as on Python 3.11.0
        monkeypatch.setattr("fgbench.archive._data_filter", None)
    archive = make_tar(tmp_path / "evil.tgz", ("good.txt",), *members)
    (tmp_path / "secret").write_text("secret")
    with pytest.raises(FgbenchError, match="refused"):
        extract(archive, tmp_path / "into")
    assert names(tmp_path) == {"evil.tgz", "secret"}
    assert (tmp_path / "secret").read_text() == "secret"


@pytest.mark.parametrize(
    "member",
    [
        ("/evil", b"", 0),
        ("../evil", b"", 0),
        ("a/../../evil", b"", 0),
        ("..\\evil", b"", 0),
        ("l", b"../secret", stat.S_IFLNK | 0o777),
        ("l", b"/etc/hosts", stat.S_IFLNK | 0o777),
        ("f", b"", stat.S_IFIFO | 0o666),
        ("d", b"", stat.S_IFBLK | 0o666),
    ],
    ids=lambda member: f"{member[0]} {member[2]:o}",
)
def test_an_evil_zip_writes_nothing(tmp_path: Path, member: tuple[str, bytes, int]) -> None:
    archive = make_zip(tmp_path / "evil.zip", ("good.txt", b"", 0), member)
    with pytest.raises(FgbenchError, match="refused"):
        extract(archive, tmp_path / "into")
    assert names(tmp_path) == {"evil.zip"}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz", "zip"])
@pytest.mark.parametrize("share", [0.0001, 0.3, 0.5, 0.9, 0.97])
def test_a_truncated_archive_is_told(tmp_path: Path, mode: str, share: float) -> None:
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


def test_a_tar_that_ends_between_two_members_is_told(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "archive", ("a",), ("b",), mode="w")
    for length in (1024, 1024 + 300, 2048):
        os.truncate(archive, length)
        with pytest.raises(FgbenchError, match="too early"):
            extract(archive, tmp_path / "into")
        make_tar(tmp_path / "archive", ("a",), ("b",), mode="w")


@pytest.mark.parametrize("content", [b"", b"<html>not here</html>", gzip.compress(b"no tar"), b"PK\3\4"])
def test_what_is_no_archive_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "archive.tgz").write_bytes(content)
    with pytest.raises(FgbenchError):
        extract(tmp_path / "archive.tgz", tmp_path / "into")


def test_a_flipped_bit_is_told(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "archive", ("a", os.urandom(5000)))
    content = bytearray(archive.read_bytes())
    content[-6] ^= 1  # in the checksum of gzip
    archive.write_bytes(content)
    with pytest.raises(FgbenchError, match="damaged"):
        extract(archive, tmp_path / "into")
