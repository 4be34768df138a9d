"""Safe unpacking of tar and zip files: all of an archive or nothing, and nothing outside its folder."""

import errno
import gzip
import io
import lzma
import os
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path, PureWindowsPath

from fgbench.util.errors import FgbenchError
from fgbench.util.files import storage_error
from fgbench.util.folders import new_folder

_DAMAGED = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, gzip.BadGzipFile, struct.error),
    *(EOFError, LookupError, OverflowError, RuntimeError, ValueError),
    *(FileExistsError, IsADirectoryError, NotADirectoryError),
)
"""Errors of the standard library for a damaged archive. The last row: two members need the same path."""


class _UnsafeError(Exception):
    """An archive has a member that could write or lead outside its folder."""


def extract(archive: Path, into: Path) -> Path:
    """Unpack a tar file, compressed or not, or a zip file.

    Files and folders are unpacked, from a tar file also links within the archive. Owners, permissions and times are
    not kept. The archive is unpacked into a temporary folder beside `into`, which is renamed at the end. Temporary
    folders that killed programs left are removed.

    Args:
        archive: the file; its content decides its format, not its name.
        into: a folder that does not exist or is empty.

    Returns:
        `into`.

    Raises:
        FgbenchError: the archive is truncated, damaged, in another format or larger than the free space; a member is
            a device or leads outside the folder; `into` is not empty or cannot be written.
    """
    if not archive.is_file():
        raise FgbenchError(f"there is no file {archive}")
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise FgbenchError(f"{into} is in the way", f"move it elsewhere to unpack {archive.name} there")
    try:
        with new_folder(into) as temporary:
            _extract(archive, temporary)
    except OSError as error:
        raise storage_error(error, into) from error
    return into


def _extract(archive: Path, folder: Path) -> None:
    """Unpack an archive into an empty folder."""
    try:
        if zipfile.is_zipfile(archive):
            _extract_zip(archive, folder)
        else:
            _extract_tar(archive, folder)
    except (_UnsafeError, tarfile.FilterError) as error:
        raise FgbenchError(f"{archive} is refused: {error}", "download it from its official address") from error
    except _DAMAGED as error:
        raise FgbenchError(f"{archive} is truncated or damaged: {error}", "delete it and download it again") from error
    except OSError as error:
        if error.errno in {None, errno.EINVAL}:  # from a decompressor
            raise FgbenchError(f"{archive} is damaged: {error}", "delete it and download it again") from error
        raise


def _extract_zip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as file:
        members = file.infolist()
        for member in members:
            _check_path(member.filename)
            if stat.S_IFMT(member.external_attr >> 16) not in {0, stat.S_IFREG, stat.S_IFDIR}:
                raise _UnsafeError(f"{member.filename!r} is neither a file nor a folder")
        _check_space(sum(member.file_size for member in members), folder)
        file.extractall(folder)


def _extract_tar(archive: Path, folder: Path) -> None:
    links = []
    with tarfile.open(archive, errorlevel=2) as tar:
        # Links come last: no path leads through a link while files are written.
        for member in tar:
            _check_path(member.name)
            if member.issym():
                links.append(member)
                continue
            if member.islnk():
                _check_path(member.linkname)
                if not (folder / member.linkname).is_file():
                    raise _UnsafeError(f"the hard link {member.name!r} does not lead to a file before it")
            elif member.isreg():
                _check_space(member.size, folder)
            tar.extract(member, folder, set_attrs=False, filter="data")
        _check_end(tar)
        for member in links:
            path = folder / member.name
            if os.path.lexists(path) or any((folder / parent).is_symlink() for parent in Path(member.name).parents):
                raise _UnsafeError(f"the link {member.name!r} has the path of another member or lies behind a link")
            tar.extract(member, folder, set_attrs=False, filter="data")
    for member in links:
        try:
            inside = (folder / member.name).resolve(strict=True).is_relative_to(folder.resolve())
        except (OSError, RuntimeError):  # nothing there, or a circle of links
            inside = False
        if not inside:
            raise _UnsafeError(f"the link {member.name!r} does not lead to a member of the archive")


def _check_path(name: str) -> None:
    """Raise _UnsafeError for an absolute path or one with `..`, on any system."""
    path = PureWindowsPath(name)
    if path.anchor or ".." in path.parts:
        raise _UnsafeError(f"{name!r} would be written outside its folder")


def _check_space(size: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise OSError(errno.ENOSPC, f"{size} bytes are needed, {free} bytes are free")


def _check_end(tar: tarfile.TarFile) -> None:
    """Raise EOFError for a truncated file: `tarfile` takes the end of the file for the end of the archive."""
    file = tar.fileobj
    if isinstance(file, io.BufferedReader):  # not compressed
        file.seek(tar.offset)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise EOFError("it ends too early")
    while file is not None and file.read(1 << 20):  # a decompressor compares its checksum at the end
        pass
