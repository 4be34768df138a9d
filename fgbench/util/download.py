"""Downloads that continue after a dropped connection and are verified before they get their final name."""

import errno
import hashlib
import os
import shutil
import time
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException, HTTPResponse, InvalidURL
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from filelock import FileLock
from rich import progress as bars
from rich.console import Console

from fgbench._version import __version__
from fgbench.util.errors import FgbenchError
from fgbench.util.files import remove_leftovers, storage_error, write_json
from fgbench.util.http_headers import content_length, retry_after_s, validator
from fgbench.util.json_toml import read_json

CHUNK = 1 << 20
"""Bytes per read."""
TIMEOUT_S = 30.0
"""Longest time without an answer of the server."""
ATTEMPTS = 5
"""A download stops after this number of successive attempts without new bytes."""
BACKOFF_S = 1.0
"""Wait before the second attempt; it doubles with each attempt."""
MAX_WAIT_S = 30.0
"""Longest wait between two attempts."""
_TEMPORARY = {408, 429, 500, 502, 503, 504}
"""HTTP status codes after which another attempt can succeed."""


class _DroppedError(Exception):
    """An attempt failed and another one can succeed.

    Attributes:
        wait_s: the wait that the server asks for; 0 if it does not.
    """

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class _Part:
    """An incomplete download, and a note beside it that identifies the file on the server."""

    url: str
    """Address of the file."""
    path: Path
    """File with the bytes received so far."""

    @property
    def note(self) -> Path:
        """Path of the note."""
        return self.path.with_name(f"{self.path.name}.json")

    def length(self) -> int:
        """Return the number of bytes received so far."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def validator(self) -> str:
        """Return the ETag or date of the file when these bytes were sent; empty if they cannot be continued."""
        try:
            note = read_json(self.note)
            return str(note["validator"]) if note["url"] == self.url else ""
        except (FgbenchError, KeyError, TypeError):
            return ""

    def write_note(self, headers: Message) -> None:
        """Write the note from the headers of the server's answer."""
        write_json(self.note, {"url": self.url, "validator": validator(headers)})

    def discard(self) -> None:
        """Delete the bytes and the note."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def fetch(
    url: str,
    destination: Path,
    *,
    sha256: str | None = None,
    md5: str | None = None,
    size: int | None = None,
    progress: bool = True,
) -> Path:
    """Download a file, unless it exists and has the published size and hashes.

    The bytes are written to `<destination>.part`. A later attempt, in this call or another, continues this file if the
    ETag or date of the file on the server is unchanged; otherwise it starts again. A lock prevents two processes from
    downloading the same file at the same time.

    Args:
        url: http or https address.
        destination: path of the file.
        sha256: published SHA-256 in hex, or its first digits if only these are published.
        md5: published MD5 in hex.
        size: published size in bytes.
        progress: show a progress bar if stderr is a terminal.

    Returns:
        `destination`.

    Raises:
        FgbenchError: there is no network, the server refuses, the folder cannot be written, the disk is full, or the
            file differs from the published one. A file that existed before remains.
    """
    if not url.startswith(("http://", "https://")):
        raise FgbenchError(f"{url} is not an http or https address", f"download the file and save it as {destination}")
    part = _Part(url, destination.with_name(f"{destination.name}.part"))
    try:
        if destination.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        destination.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(destination.with_name(f".{destination.name}.lock")):
            remove_leftovers(destination.parent)
            if destination.is_file() and not _difference(destination, sha256, md5, size):
                part.discard()  # a program that was killed after the last rename left the note
                return destination
            _download(part, destination, size, progress)
            if difference := _difference(part.path, sha256, md5, size):
                part.discard()
                raise FgbenchError(
                    f"the file from {url} is not the published one: {difference}; it was deleted",
                    f"try again, or save the published file as {destination}",
                )
            part.path.replace(destination)
            part.discard()
    except OSError as error:
        raise storage_error(error, destination) from error
    return destination


def _difference(path: Path, sha256: str | None, md5: str | None, size: int | None) -> str:
    """The first difference between a file and the published size and hashes; empty if there is none."""
    length = path.stat().st_size
    if size is not None and length != size:
        return f"it has {length} bytes, not {size}"
    for kind, title, published in (("sha256", "SHA-256", sha256), ("md5", "MD5", md5)):
        if published:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, kind).hexdigest()
            if not digest.startswith(published.lower()):
                return f"its {title} is {digest}, not {published}"
    return ""


def _download(part: _Part, destination: Path, size: int | None, progress: bool) -> None:
    """Complete `part`; a failed attempt is repeated until `ATTEMPTS` in a row bring no new bytes."""
    max_length, idle = part.length(), 0
    connected = False
    with _bar(progress) as bar:
        task = bar.add_task(destination.name, total=size)
        while True:
            try:
                response = _request(part, destination, connected)
                if response is not None:
                    connected = True
                    with response:
                        _receive(response, part, size, bar, task)
            except _DroppedError as error:
                # A server that cannot continue may send the same first bytes each time. These do not count as new.
                length = part.length()
                idle = 0 if length > max_length else idle + 1
                max_length = max(max_length, length)
                if idle >= ATTEMPTS:
                    raise FgbenchError(f"{part.url}: {error}", "try again later; the download continues") from error
                time.sleep(min(MAX_WAIT_S, max(error.wait_s, BACKOFF_S * 2.0**idle)))
            else:
                return


def _request(part: _Part, destination: Path, connected: bool) -> HTTPResponse | None:
    """Request the rest of `part`; return None if nothing is left.

    Args:
        part: the incomplete download.
        destination: the final path, for messages.
        connected: True if the server has answered before in this download.
    """
    headers = {"User-Agent": f"fgbench/{__version__}", "Accept-Encoding": "identity"}
    length, tag = part.length(), part.validator()
    continued = length > 0 and tag != ""
    if continued:
        headers |= {"Range": f"bytes={length}-", "If-Range": tag}
    try:
        response: HTTPResponse = urlopen(Request(part.url, headers=headers), timeout=TIMEOUT_S)
    except HTTPError as error:
        with error:
            if error.code == 416 and continued:
                if error.headers.get("Content-Range", "").strip() == f"bytes */{length}":
                    return None
                part.discard()
                raise _DroppedError("the file on the server has changed") from error
            raise _refusal(error, part.url, destination) from error
    except (ValueError, InvalidURL) as error:
        raise FgbenchError(
            f"{part.url} is not a valid address: {error}", f"download the file and save it as {destination}"
        ) from error
    except (OSError, HTTPException) as error:
        reason = error.reason if isinstance(error, URLError) else error
        # After the first answer, a failure is a dropped connection. Before it, another attempt would not help.
        if connected or isinstance(reason, HTTPException | ConnectionResetError | BrokenPipeError):
            raise _DroppedError(f"the connection dropped ({reason})") from error
        host = urlsplit(part.url).hostname
        raise FgbenchError(
            f"cannot reach {host}: {reason}", f"check the network, or save {part.url} as {destination}"
        ) from error
    return response


def _refusal(error: HTTPError, url: str, destination: Path) -> Exception:
    """The error for an HTTP status: _DroppedError if it is temporary, else FgbenchError."""
    if error.code in _TEMPORARY:
        return _DroppedError(f"the server reports an error (HTTP {error.code})", retry_after_s(error.headers))
    reasons = {401: "requires a password for", 403: "refuses", 404: "does not have", 410: "no longer has"}
    reason = reasons.get(error.code, f"answers {error.reason!r} to")
    return FgbenchError(
        f"{urlsplit(url).hostname} {reason} {url} (HTTP {error.code})",
        f"get the file from another place and save it as {destination}",
    )


def _receive(response: HTTPResponse, part: _Part, size: int | None, bar: bars.Progress, task: bars.TaskID) -> None:
    """Write the body of an answer to `part`, after its bytes if the answer continues them."""
    start = 0
    if response.status == 206:
        start = part.length()
        sent = response.headers.get("Content-Range", "").removeprefix("bytes").strip()
        # The header If-Range asks for this, but a server may ignore it.
        if not sent.startswith(f"{start}-") or validator(response.headers) not in {"", part.validator()}:
            part.discard()
            raise _DroppedError("the server continued another file")
    try:
        rest = content_length(response.headers)
    except ValueError as error:
        raise _DroppedError(str(error)) from error
    total = start + rest if rest is not None else size
    if size is not None and total != size:
        part.discard()
        raise FgbenchError(
            f"{part.url} has {total} bytes and the published file {size}, so it is another file",
            "get the published file from another place",
        )
    free = shutil.disk_usage(part.path.parent).free
    if rest is not None and rest > free:
        raise OSError(errno.ENOSPC, f"{rest} bytes are needed, {free} bytes are free")
    bar.update(task, completed=start, total=total)
    with part.path.open("ab" if start else "wb") as file:
        if not start:
            part.write_note(response.headers)
        _copy(response, file, bar, task)
        file.flush()
        os.fsync(file.fileno())
    length = part.length()
    if total is not None and length < total:
        raise _DroppedError(f"the connection dropped after {length} of {total} bytes")


def _copy(response: HTTPResponse, file: Any, bar: bars.Progress, task: bars.TaskID) -> None:
    """Copy the body of an answer to an open file; raise _DroppedError if the connection drops."""
    while True:
        try:
            # read1 returns the bytes received so far, so that none are lost if the connection drops.
            chunk = response.read1(CHUNK)
        except (OSError, HTTPException) as error:
            raise _DroppedError(f"the connection dropped ({error})") from error
        if not chunk:
            return
        file.write(chunk)
        bar.advance(task, len(chunk))


def _bar(progress: bool) -> bars.Progress:
    console = Console(stderr=True)
    return bars.Progress(
        bars.TextColumn("{task.description}", markup=False),
        bars.BarColumn(bar_width=24),
        bars.DownloadColumn(),
        bars.TransferSpeedColumn(),
        bars.TimeRemainingColumn(),
        console=console,
        disable=not (progress and console.is_terminal),
        transient=True,
    )
