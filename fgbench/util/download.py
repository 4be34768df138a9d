"""Downloads: continued where a connection dropped, verified before they get their name."""

import errno
import hashlib
import json
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
from fgbench.util.archive import extract
from fgbench.util.errors import FgbenchError

__all__ = ["extract", "fetch"]

CHUNK = 1 << 20
TIMEOUT_S = 30.0
"""How long a server may be silent."""
ATTEMPTS = 5
"""How many attempts in a row may bring nothing new before a download is given up."""
BACKOFF_S = 1.0
"""Wait before the second attempt; doubles with each one."""
LONGEST_WAIT_S = 30.0
_NO_SPACE = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG}
_PASSING = {408, 429, 500, 502, 503, 504}
"""HTTP states that may be over in a moment."""


class _DroppedError(Exception):
    """An attempt ended early, and another may do better; `wait_s` when the server says how long to wait."""

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class _Part:
    """A download on its way: the bytes so far, and a note beside them of which file on the server they begin."""

    url: str
    """Where they come from."""
    path: Path
    """The bytes so far."""

    @property
    def note(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    def length(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def validator(self) -> str:
        """What the server called the file when these bytes were sent; empty when they cannot be continued."""
        try:
            note = json.loads(self.note.read_text(encoding="utf-8"))
            return str(note["validator"]) if note["url"] == self.url else ""
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def remember(self, headers: Message) -> None:
        note = {"url": self.url, "validator": _validator(headers)}
        self.note.write_text(json.dumps(note), encoding="utf-8")

    def discard(self) -> None:
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
    """Download a file, unless it is already there and right.

    The bytes go to `<destination>.part`. A later attempt, in this call or another, continues them if the server still
    has the same file (its ETag or date is unchanged), and starts over if it has not, or cannot continue.
    Two processes that want the same file take turns.

    Args:
        url: http or https address.
        destination: the file's path.
        sha256: published SHA-256 in hex, or as many of its first digits as are published.
        md5: published MD5 in hex.
        size: published length in bytes.
        progress: show a bar when stderr is a terminal.

    Returns:
        `destination`.

    Raises:
        FgbenchError: no network, a refusal by the server, a full disk, or another file than the published one; then
            nothing has the final name but what had it before.
    """
    if not url.startswith(("http://", "https://")):
        raise FgbenchError(f"{url} is not an http or https address")
    part = _Part(url, destination.with_name(f"{destination.name}.part"))
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(destination.with_name(f".{destination.name}.lock")):
            if destination.is_file() and not _difference(destination, sha256, md5, size):
                return destination
            _download(part, destination, size, progress)
            if difference := _difference(part.path, sha256, md5, size):
                part.discard()
                raise FgbenchError(
                    f"what {url} sent is not the published file: {difference}; it was thrown away",
                    f"try again, or put the right file at {destination}",
                )
            part.path.replace(destination)
            part.discard()
    except OSError as error:
        raise _storage_error(error, destination) from error
    return destination


def _difference(path: Path, sha256: str | None, md5: str | None, size: int | None) -> str:
    """How a file differs from what is published; empty when it does not."""
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
    """All bytes into the part, in as many attempts as bring something new."""
    most, idle = part.length(), 0
    contact = False
    with _bar(progress) as bar:
        task = bar.add_task(destination.name, total=size)
        while True:
            try:
                response = _request(part, destination, contact)
                if response is not None:
                    contact = True
                    with response:
                        _receive(response, part, size, bar, task)
            except _DroppedError as error:
                # A server that cannot continue may bring the same beginning for ever: only what is new counts.
                length = part.length()
                idle = 0 if length > most else idle + 1
                most = max(most, length)
                if idle >= ATTEMPTS:
                    raise FgbenchError(f"{part.url}: {error}", "try again later: what is here is continued") from error
                time.sleep(min(LONGEST_WAIT_S, max(error.wait_s, BACKOFF_S * 2.0**idle)))
            else:
                return


def _request(part: _Part, destination: Path, contact: bool) -> HTTPResponse | None:
    """The server's answer, None when the part is all there is."""
    headers = {"User-Agent": f"fgbench/{__version__}", "Accept-Encoding": "identity"}
    length, validator = part.length(), part.validator()
    continued = length > 0 and validator != ""
    if continued:
        headers |= {"Range": f"bytes={length}-", "If-Range": validator}
    try:
        response: HTTPResponse = urlopen(Request(part.url, headers=headers), timeout=TIMEOUT_S)
    except HTTPError as error:
        with error:
            if error.code == 416 and continued:
                if error.headers.get("Content-Range", "").strip() == f"bytes */{length}":
                    return None
                part.discard()
                raise _DroppedError("the file on the server is another one now") from error
            raise _refusal(error, part.url, destination) from error
    except (ValueError, InvalidURL) as error:
        raise FgbenchError(f"{part.url} is not an address: {error}") from error
    except (OSError, HTTPException) as error:
        reason = error.reason if isinstance(error, URLError) else error
        # Once the server has answered, a failure is a dropped connection; before, there is no use in waiting for it.
        if contact or isinstance(reason, HTTPException | ConnectionResetError | BrokenPipeError):
            raise _DroppedError(f"the connection dropped ({reason})") from error
        host = urlsplit(part.url).hostname
        raise FgbenchError(
            f"cannot reach {host}: {reason}", f"check the network, or put the file of {part.url} at {destination}"
        ) from error
    return response


def _refusal(error: HTTPError, url: str, destination: Path) -> Exception:
    what = {401: "wants a password for", 403: "refuses to give", 404: "has no", 410: "no longer has"}.get(error.code)
    if error.code in _PASSING:
        wait = error.headers.get("Retry-After", "")
        return _DroppedError(f"the server fails (HTTP {error.code})", float(wait) if wait.isdecimal() else 0.0)
    host = urlsplit(url).hostname
    told = f"{host} {what} {url}" if what else f"{host} answers {error.reason} to {url}"
    return FgbenchError(f"{told} (HTTP {error.code})", f"get the file in another way and put it at {destination}")


def _receive(response: HTTPResponse, part: _Part, size: int | None, bar: bars.Progress, task: bars.TaskID) -> None:
    """The body of an answer into the part, after what is there when the answer continues it."""
    start = 0
    if response.status == 206:
        start = part.length()
        sent = response.headers.get("Content-Range", "").removeprefix("bytes").strip()
        # If-Range should have made sure of this; a careless server may have overlooked it.
        if not sent.startswith(f"{start}-") or _validator(response.headers) not in {"", part.validator()}:
            part.discard()
            raise _DroppedError("the server continues another file")
    rest = int(response.headers.get("Content-Length") or -1)
    total = start + rest if rest >= 0 else size
    if size is not None and total != size:
        part.discard()
        raise FgbenchError(f"{part.url} has {total} bytes, the published file {size}: it is not the same file")
    free = shutil.disk_usage(part.path.parent).free
    if rest > free:
        raise OSError(errno.ENOSPC, f"{rest} bytes are to come, {free} bytes are free")
    bar.update(task, completed=start, total=total)
    with part.path.open("ab" if start else "wb") as file:
        if not start:
            part.remember(response.headers)
        _copy(response, file, bar, task)
        file.flush()
        os.fsync(file.fileno())
    length = part.length()
    if total is not None and length < total:
        raise _DroppedError(f"the connection dropped after {length} of {total} bytes")


def _copy(response: HTTPResponse, file: Any, bar: bars.Progress, task: bars.TaskID) -> None:
    while True:
        try:
            # read1 hands over what has arrived, so nothing of it is lost when the connection drops.
            chunk = response.read1(CHUNK)
        except (OSError, HTTPException) as error:
            raise _DroppedError(f"the connection dropped ({error})") from error
        if not chunk:
            return
        file.write(chunk)
        bar.advance(task, len(chunk))


def _validator(headers: Message) -> str:
    """What identifies the file for If-Range: a strong ETag, else its date, else nothing."""
    tag = headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")


def _storage_error(error: OSError, destination: Path) -> FgbenchError:
    if error.errno in _NO_SPACE:
        return FgbenchError(
            f"the disk of {destination.parent} is full: {error.strerror}", "make room and try again: it goes on"
        )
    return FgbenchError(f"cannot write {destination}: {error}")


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
