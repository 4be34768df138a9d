"""Downloads that resume and are verified, and extraction that cannot leave its folder."""

import hashlib
import http.client
import json
import shutil
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from filelock import FileLock
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from fgbench.errors import FgbenchError
from fgbench.files import write_json

BLOCK = 1 << 18
TRIES = 5
"""Connections before a download that makes no progress is given up."""
TIMEOUT_S = 30.0


def fetch(url: str, destination: Path, *, sha256: str = "", md5: str = "", pause_s: float = 1.0) -> Path:
    """Download a file, going on where an earlier call stopped, and rename it into place once its checksum is right.

    Args:
        url: http or https address.
        destination: where the file is to be; beside it, `.part` holds what has come so far.
        sha256: checksum in hex, or its first digits.
        md5: checksum in hex.
        pause_s: seconds before the second try; doubles with each.

    Returns:
        `destination`.

    Raises:
        FgbenchError: the server refuses, the connection cannot be had, the disk is full, or the checksum is wrong
            (nothing then stands under the final name).
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{destination}.lock"):
        if destination.is_file():
            _verify(destination, sha256, md5, url)
            return destination
        part = destination.with_name(f"{destination.name}.part")
        _complete(url, part, pause_s)
        _verify(part, sha256, md5, url)
        part.replace(destination)
        _note(part).unlink(missing_ok=True)
    return destination


def _note(part: Path) -> Path:
    """Which version of the file at the server a part is of."""
    return part.with_name(f"{part.name}.json")


def _complete(url: str, part: Path, pause_s: float) -> None:
    """Call the server until the part is whole; a try that brought anything starts the count anew."""
    tries = 0
    while True:
        before = part.stat().st_size if part.is_file() else 0
        try:
            if _receive(url, part, before):
                return
            problem = "the connection was closed early"
        except urllib.error.HTTPError as error:
            if error.code == 416:  # the part is longer than the file: start over
                part.unlink(missing_ok=True)
                problem = "the server has no such range"
            elif error.code < 500 and error.code != 429:
                raise FgbenchError(f"{url}: the server answers {error.code} {error.reason}") from error
            else:
                problem = f"the server answers {error.code} {error.reason}"
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            problem = str(getattr(error, "reason", "") or error) or type(error).__name__
        except ValueError as error:
            raise FgbenchError(f"{url!r} is not an address: {error}") from error
        except OSError as error:
            raise FgbenchError(f"cannot write {part}: {error.strerror or error}", "free some disk space") from error
        grown = (part.stat().st_size if part.is_file() else 0) > before
        tries = 1 if grown else tries + 1
        if tries >= TRIES:
            raise FgbenchError(f"{url}: {problem}, {TRIES} times", "the same command goes on where this one stopped")
        time.sleep(pause_s * 2 ** (tries - 1))


def _receive(url: str, part: Path, have: int) -> bool:
    """One connection; True when the part is whole afterwards."""
    note = json.loads(_note(part).read_text()) if have and _note(part).is_file() else {}
    version = note.get("version") if note.get("url") == url else None
    headers = {"User-Agent": "fgbench"}
    if have and version:
        headers |= {"Range": f"bytes={have}-", "If-Range": version}
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        goes_on = answer.status == 206
        start = have if goes_on else 0
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length else None
        validator = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
        if not goes_on:
            write_json(_note(part), {"url": url, "version": validator})
        with part.open("ab" if goes_on else "wb") as file, _bar(part.stem, start, total) as advance:
            try:
                while block := answer.read(BLOCK):
                    file.write(block)
                    advance(len(block))
            except http.client.IncompleteRead as error:
                file.write(error.partial)
        return total is None or part.stat().st_size == total


@contextmanager
def _bar(name: str, start: int, total: int | None) -> Iterator[Callable[[int], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True) as progress:
        progress.disable = not progress.console.is_terminal
        task = progress.add_task(name, total=total, completed=start)
        yield lambda count: progress.advance(task, count)


def _verify(path: Path, sha256: str, md5: str, url: str) -> None:
    for kind, expected in (("sha256", sha256.lower()), ("md5", md5.lower())):
        if not expected:
            continue
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda kind=kind: hashlib.new(kind, usedforsecurity=False)).hexdigest()
        if not digest.startswith(expected):
            path.unlink()
            raise FgbenchError(
                f"{url}: the {kind} of what came is {digest}, expected {expected}; it was deleted",
                "try again; if it persists, the file at that address has changed",
            )


def extract(archive: Path, folder: Path) -> Path:
    """Unpack a tar or zip archive into a new folder: all of it or nothing, and nothing outside.

    Raises:
        FgbenchError: a member would leave the folder or is no plain file, link inside or folder; the archive is
            truncated or of another kind; or `folder` exists.
    """
    if folder.exists():
        raise FgbenchError(f"{folder} exists already", "remove it first")
    place = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        if zipfile.is_zipfile(archive):
            _unzip(archive, place)
        else:
            _untar(archive, place)
        place.replace(folder)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise FgbenchError(f"{archive} cannot be unpacked: {error}", "delete it and get it again") from error
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return folder


def _inside(name: str, archive: Path) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts and ":" in path.parts[0]):
        raise FgbenchError(f"{archive} has a member outside its folder, {name!r}: not unpacked")


def _untar(archive: Path, place: Path) -> None:
    with tarfile.open(archive) as tar:
        for member in tar:
            _inside(member.name, archive)
            if member.issym() or member.islnk() or not (member.isfile() or member.isdir()):
                raise FgbenchError(f"{archive} has a link or device, {member.name!r}: not unpacked")
            tar.extract(member, place, filter="data")


def _unzip(archive: Path, place: Path) -> None:
    with zipfile.ZipFile(archive) as bundle:
        for member in bundle.infolist():
            _inside(member.filename, archive)
            if (member.external_attr >> 16) & 0o170000 == 0o120000:
                raise FgbenchError(f"{archive} has a link, {member.filename!r}: not unpacked")
            bundle.extract(member, place)
