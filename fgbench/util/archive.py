"""Archives unpacked so that nothing is written outside the folder meant for it, whatever the archive says."""

import errno
import lzma
import os
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from fgbench.util.errors import FgbenchError

# Python 3.11.0 to 3.11.3 have no extraction filters.
_data_filter = getattr(tarfile, "data_filter", None)
_FilterError: type[Exception] = getattr(tarfile, "FilterError", tarfile.TarError)
_DAMAGED = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, LookupError, OverflowError, RuntimeError, ValueError),
)
"""What the standard library raises for bytes that are no archive."""


class _Tree:
    """A folder that is being filled.

    While files are written it holds no symbolic link, so no path can lead out by one; links come last, and each may
    only go up from its own folder and then down, never up again behind another link.
    """

    def __init__(self, archive: Path, root: Path) -> None:
        self.archive, self.root = archive, root
        self._links: list[tuple[PurePosixPath, str]] = []

    def unsafe(self, what: str) -> FgbenchError:
        return FgbenchError(f"{self.archive} is refused: {what}", "nothing was kept; get it from its official address")

    def name(self, name: str) -> PurePosixPath:
        """A member's path if it stays inside."""
        path, windows = PurePosixPath(name), PureWindowsPath(name)
        absolute = path.is_absolute() or (os.name == "nt" and windows.anchor)
        if absolute or "\0" in name or ".." in {*path.parts, *windows.parts}:
            raise self.unsafe(f"{name!r} would be written outside its folder")
        return path

    def folder(self, name: str) -> None:
        (self.root / self.name(name)).mkdir(parents=True, exist_ok=True)

    def file(self, name: str, content: IO[bytes]) -> None:
        path = self._new(name)
        with path.open("xb") as file:
            shutil.copyfileobj(content, file, 1 << 20)

    def hard_link(self, name: str, target: str) -> None:
        source = self.root / self.name(target)
        if not source.is_file():
            raise self.unsafe(f"the hard link {name!r} points to {target!r}, which is no file in it")
        if self.root / self.name(name) != source:
            os.link(source, self._new(name))

    def symbolic_link(self, name: str, target: str) -> None:
        path, there = self.name(name), PurePosixPath(target)
        up = 0
        while up < len(there.parts) and there.parts[up] == "..":
            up += 1
        outside = there.is_absolute() or (os.name == "nt" and PureWindowsPath(target).anchor) or "\\" in target
        if not target or outside or ".." in there.parts[up:] or up > len(path.parts) - 1:
            raise self.unsafe(f"the link {name!r} points outside its folder, to {target!r}")
        self._links.append((path, target))

    def finish(self) -> None:
        """Make the symbolic links."""
        for path, target in self._links:
            link = self.root / path
            if any((self.root / parent).is_symlink() for parent in path.parents):
                raise self.unsafe(f"{str(path)!r} lies behind a link")
            if link.exists() or link.is_symlink():
                raise self.unsafe(f"{str(path)!r} is a link and something else")
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(target)

    def _new(self, name: str) -> Path:
        path = self.root / self.name(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        # A later member of the same name stands for the earlier one, and must not write through a hard link to it.
        path.unlink(missing_ok=True)
        return path


def extract(archive: Path, into: Path) -> Path:
    """Unpack a tar (also compressed) or zip file; all of it or nothing.

    Plain files, folders, and links within the archive are unpacked; owners, permissions and times are not kept.

    Args:
        archive: the file; its content decides what it is, not its name.
        into: a folder that is not there yet, or is empty.

    Returns:
        `into`.

    Raises:
        FgbenchError: it is truncated, damaged or no archive; a member would leave the folder or is a device; `into`
            holds something; the disk is full.
    """
    if not archive.is_file():
        raise FgbenchError(f"there is no file {archive}")
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise FgbenchError(f"{into} is in the way", f"move it elsewhere to unpack {archive.name} there")
    try:
        into.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{into.name}.", dir=into.parent))
        try:
            _unpack(archive, _Tree(archive, temporary))
            temporary.chmod(0o755)
            if into.exists():
                into.rmdir()
            temporary.replace(into)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except _DAMAGED as error:
        raise _damaged(archive, error) from error
    except OSError as error:
        if error.errno is None or error.errno in {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.EINVAL}:
            raise _damaged(archive, error) from error
        raise FgbenchError(f"cannot unpack {archive} into {into}: {error.strerror}") from error
    return into


def _damaged(archive: Path, error: Exception) -> FgbenchError:
    return FgbenchError(f"{archive} is truncated or damaged: {error}", "delete it and get it again")


def _unpack(archive: Path, tree: _Tree) -> None:
    if zipfile.is_zipfile(archive):
        _unpack_zip(archive, tree)
    elif tarfile.is_tarfile(archive):
        _unpack_tar(archive, tree)
    else:
        with archive.open("rb") as file:
            start = file.read(6)
        if start.startswith((b"PK", b"\x1f\x8b", b"BZh", b"\xfd7zXZ")):
            raise EOFError("it holds no tar file, or ends too early")
        raise FgbenchError(f"{archive} is neither a tar nor a zip file", "delete it and get it again")
    tree.finish()


def _unpack_tar(archive: Path, tree: _Tree) -> None:
    with tarfile.open(archive) as tar:
        for member in tar:
            tree.name(member.name)
            if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
                raise tree.unsafe(f"{member.name!r} is neither a file, a folder nor a link")
            if _data_filter is not None:
                try:
                    _data_filter(member, str(tree.root))
                except _FilterError as error:
                    raise tree.unsafe(str(error)) from error
            if member.issym():
                tree.symbolic_link(member.name, member.linkname)
            elif member.islnk():
                tree.hard_link(member.name, member.linkname)
            elif member.isdir():
                tree.folder(member.name)
            elif content := tar.extractfile(member):
                tree.file(member.name, content)
        # Reading on to the end makes the decompressor check its own checksum.
        while tar.fileobj is not None and tar.fileobj.read(1 << 20):
            pass
        _check_end(archive, tar.offset)


def _check_end(archive: Path, offset: int) -> None:
    """Refuse an uncompressed tar file without its end mark: reading members just stops where the file does."""
    with archive.open("rb") as file:
        if file.read(262)[257:] != b"ustar":
            return
        file.seek(offset)
        if file.read(512) != bytes(512):
            raise EOFError("it ends too early")


def _unpack_zip(archive: Path, tree: _Tree) -> None:
    with zipfile.ZipFile(archive) as file:
        for member in file.infolist():
            tree.name(member.filename)
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind == stat.S_IFLNK:
                tree.symbolic_link(member.filename, file.read(member).decode())
            elif kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
                raise tree.unsafe(f"{member.filename!r} is neither a file, a folder nor a link")
            elif member.is_dir():
                tree.folder(member.filename)
            else:
                with file.open(member) as content:
                    tree.file(member.filename, content)
