"""Downloads from a server on this machine."""

import errno
import hashlib
import os
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fgbench.util import download
from fgbench.util.download import fetch
from fgbench.util.errors import FgbenchError

CONTENT = os.urandom(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()


@dataclass
class Server:
    """Behaviour of the server, and the requests that it received."""

    url: str = ""
    content: bytes = CONTENT
    etag: str = '"one"'
    modified: str = ""
    ranges: bool = True
    honest: bool = True
    """False: the server ignores If-Range."""
    status: list[int] = field(default_factory=list)
    """HTTP status of the next answers; then the file is sent."""
    drop_after: list[int] = field(default_factory=list)
    """Number of bytes after which each of the next answers drops the connection."""
    requests: list[dict[str, str]] = field(default_factory=list)
    sent: list[tuple[int, int]] = field(default_factory=list)
    """First and last byte of each answer."""
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


def test_a_whole_file(server: Server, tmp_path: Path) -> None:
    path = fetch(server.url, tmp_path / "new" / "weights.bin", sha256=SHA256, md5=MD5, size=len(CONTENT))
    assert path.read_bytes() == CONTENT
    assert names(path.parent) == {"weights.bin"}


def test_an_existing_file_with_the_right_hash_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(CONTENT)
    fetch(server.url, tmp_path / "weights.bin", sha256=SHA256[:8])
    assert server.requests == []


def test_a_wrong_file_is_replaced_after_the_right_one_is_complete(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"old")
    server.status = [404]
    with pytest.raises(FgbenchError, match="404"):
        fetch(server.url, path, sha256=SHA256)
    assert path.read_bytes() == b"old"
    assert fetch(server.url, path, sha256=SHA256).read_bytes() == CONTENT


@pytest.mark.parametrize(("etag", "modified"), [('"one"', ""), ("", "Wed, 01 Jan 2020 00:00:00 GMT")])
def test_continues_after_a_dropped_connection(server: Server, tmp_path: Path, etag: str, modified: str) -> None:
    server.etag, server.modified, server.drop_after = etag, modified, [100_000, 50_000]
    path = fetch(server.url, tmp_path / "weights.bin", sha256=SHA256)
    assert path.read_bytes() == CONTENT
    assert [request.get("range") for request in server.requests] == [None, "bytes=100000-", "bytes=150000-"]
    assert server.requests[1]["if-range"] == (etag or modified)
    assert server.sent == [(0, 100_000), (100_000, 150_000), (150_000, 300_000)]  # no byte twice


def test_continues_in_another_call(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert (0, len(CONTENT)) in server.sent  # the server notes a dropped answer later
    assert server.requests[0]["range"] == "bytes=1000-"


def test_a_part_from_another_address_starts_over(server: Server, tmp_path: Path) -> None:
    (tmp_path / "weights.bin.part").write_bytes(b"x" * 1000)
    (tmp_path / "weights.bin.part.json").write_text('{"url": "http://elsewhere/", "validator": "\\"one\\""}')
    assert fetch(server.url, tmp_path / "weights.bin", sha256=SHA256).read_bytes() == CONTENT
    assert "range" not in server.requests[0]


@pytest.mark.parametrize(("length", "asked"), [(len(CONTENT), 1), (len(CONTENT) + 10, 2)])
def test_a_part_of_full_length(server: Server, tmp_path: Path, length: int, asked: int) -> None:
    # The server answers 416: the part is the whole file or belongs to another file.
    (tmp_path / "weights.bin.part").write_bytes((CONTENT + bytes(10))[:length])
    (tmp_path / "weights.bin.part.json").write_text(f'{{"url": "{server.url}", "validator": "\\"one\\""}}')
    assert fetch(server.url, tmp_path / "weights.bin", sha256=SHA256).read_bytes() == CONTENT
    assert len(server.requests) == asked


def test_a_server_without_ranges_starts_over(server: Server, tmp_path: Path) -> None:
    server.ranges, server.drop_after = False, [100_000]
    assert fetch(server.url, tmp_path / "weights.bin", sha256=SHA256).read_bytes() == CONTENT
    assert server.sent == [(0, 100_000), (0, 300_000)]


def test_a_server_that_always_drops_at_the_same_byte_is_an_error(server: Server, tmp_path: Path) -> None:
    server.ranges, server.drop_after = False, [100_000] * 20
    with pytest.raises(FgbenchError, match="dropped"):
        fetch(server.url, tmp_path / "weights.bin", sha256=SHA256)
    assert len(server.requests) == 1 + download.ATTEMPTS


def test_without_a_validator_nothing_is_continued(server: Server, tmp_path: Path) -> None:
    server.etag, server.drop_after = "", [100_000]
    assert fetch(server.url, tmp_path / "weights.bin", sha256=SHA256).read_bytes() == CONTENT
    assert "range" not in server.requests[1]


def test_an_unknown_length(server: Server, tmp_path: Path) -> None:
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


def test_a_wrong_size_is_an_error_before_the_download(server: Server, tmp_path: Path) -> None:
    with pytest.raises(FgbenchError, match="300000 bytes and the published file 299999"):
        fetch(server.url, tmp_path / "weights.bin", size=299_999)
    assert names(tmp_path) == set()


@pytest.mark.parametrize(("status", "word"), [(404, "does not have"), (403, "refuses"), (410, "no longer")])
def test_a_refusal_is_an_error(server: Server, tmp_path: Path, status: int, word: str) -> None:
    server.status = [status]
    with pytest.raises(FgbenchError, match=f"{word}.*HTTP {status}"):
        fetch(server.url, tmp_path / "weights.bin")
    assert len(server.requests) == 1


def test_a_server_error_is_followed_by_another_attempt(server: Server, tmp_path: Path) -> None:
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
def test_an_invalid_address_is_an_error(tmp_path: Path, url: str) -> None:
    with pytest.raises(FgbenchError):
        fetch(url, tmp_path / "file")


def test_a_full_disk(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(FgbenchError, match=r"is full: 300000 bytes are needed, 1000 bytes are free"):
        fetch(server.url, tmp_path / "weights.bin")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_disk_that_fills_up_while_writing(server: Server, tmp_path: Path) -> None:
    (tmp_path / "weights.bin.part").symlink_to("/dev/full")
    with pytest.raises(FgbenchError, match="is full"):
        fetch(server.url, tmp_path / "weights.bin")


def test_two_simultaneous_calls_download_once(server: Server, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(lambda _: fetch(server.url, tmp_path / "weights.bin", sha256=SHA256), range(2)))
    assert paths[0].read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_a_file_in_the_place_of_a_folder_is_an_error(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("file")
    with pytest.raises(FgbenchError, match="file is a file, not a folder"):
        fetch(server.url, tmp_path / "file" / "weights.bin")
    assert server.requests == []


def test_a_folder_in_the_place_of_the_file_is_an_error_before_the_download(server: Server, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").mkdir()
    with pytest.raises(FgbenchError, match="it is a folder"):
        fetch(server.url, tmp_path / "weights.bin")
    assert server.requests == []


def test_a_read_only_folder_is_an_error(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **options: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", fail)
    with pytest.raises(FgbenchError, match=r"cannot write .*: Read-only file system") as caught:
        fetch(server.url, tmp_path / "weights.bin")
    assert caught.value.hint
