# SPDX-License-Identifier: GPL-2.0-or-later
"""The files of a product, in a folder or in a .zip or .tar that is read in place.

Nothing is unpacked. The directory of an archive is read by Python, its pixels through GDAL's /vsizip/ and /vsitar/. Archives come from
elsewhere: one with names that lead out of it, links, or more entries than a product has is refused as a whole.
"""

from __future__ import annotations

import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ...errors import ToolboxError

MOST_ENTRIES = 5000  # a Sentinel-2 product has some 150
DEEPEST_FOLDER = 6
LONGEST_TAR_NAME = 100  # GDAL does not see longer names in tar's POSIX form (pax), which macOS and Python write
LARGEST_METADATA = 32 * 2**20
ZIP_ENDINGS, TAR_ENDINGS = (".zip",), (".tar", ".tar.gz", ".tgz")
_PLAIN_NAME = re.compile(r"\.?\w[\w.+~ @()-]*", re.ASCII)  # with .DS_Store, which Macs add


@dataclass(frozen=True)
class ProductFiles:
    """The files of a product.

    Attributes:
        path: Folder or archive.
        names: Relative paths of the files with /, sorted.
    """

    path: Path
    names: tuple[str, ...]

    @property
    def is_archive(self) -> bool:
        """Whether the files lie in an archive."""
        return self.path.is_file()

    def find(self, pattern: str) -> list[str]:
        """Names whose last part matches a regular expression as a whole."""
        return [name for name in self.names if re.fullmatch(pattern, PurePosixPath(name).name)]

    def below(self, folder: str) -> ProductFiles:
        """Only the files in a folder of the product."""
        return ProductFiles(self.path, tuple(name for name in self.names if not folder or name.startswith(f"{folder}/")))

    def gdal_source(self, name: str) -> str:
        """What GDAL opens for a file of the product."""
        if not self.is_archive:
            return str(self.path / name)
        if self.path.name.lower().endswith(".tar") and len(name) > LONGEST_TAR_NAME:
            with tarfile.open(self.path) as archive:
                member = _find_member(archive, name)
            return f"/vsisubfile/{member.offset_data}_{member.size},{self.path}"
        handler = "vsizip" if self.path.name.lower().endswith(ZIP_ENDINGS) else "vsitar"
        # braces mark where the archive's path ends, which GDAL else guesses by its ending; but a brace in the path ends it, too
        return f"/{handler}/{self.path}/{name}" if "}" in str(self.path) else f"/{handler}/{{{self.path}}}/{name}"

    def read(self, name: str) -> bytes:
        """Content of a metadata file; raises ToolboxError when it is damaged or larger than any metadata."""
        try:
            content = self._read(name)
        except (OSError, zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, RuntimeError, KeyError) as failure:
            raise ToolboxError(f"{self.path.name}: {name} cannot be read ({failure}); download the product again.") from failure
        if len(content) > LARGEST_METADATA:
            raise ToolboxError(f"{self.path.name}: {name} is larger than any metadata file; the product is damaged or foreign.")
        return content

    def _read(self, name: str) -> bytes:
        if not self.is_archive:
            with open(self.path / name, "rb") as file:
                return file.read(LARGEST_METADATA + 1)
        if self.path.name.lower().endswith(ZIP_ENDINGS):
            with zipfile.ZipFile(self.path) as archive, archive.open(name) as file:
                return file.read(LARGEST_METADATA + 1)
        with tarfile.open(self.path) as archive:
            file = archive.extractfile(_find_member(archive, name))
            return file.read(LARGEST_METADATA + 1) if file else b""


def _find_member(archive: tarfile.TarFile, name: str) -> tarfile.TarInfo:
    """The entry of a file that `list_files` named."""
    return next(member for member in archive if member.isfile() and member.name.removeprefix("./") == name)


def list_files(path: Path) -> ProductFiles:
    """The files of a folder or an archive.

    Raises:
        ToolboxError: There is no such place, it is no archive, or the archive is damaged, truncated or hostile.
    """
    if path.is_dir():
        return ProductFiles(path, _leave_out_twins(_walk(path)))
    if not path.is_file():
        raise ToolboxError(f"There is no file or folder {path}; choose the product again.")
    name = path.name.lower()
    try:
        if name.endswith(ZIP_ENDINGS):
            entries = _list_zip(path)
        elif name.endswith(TAR_ENDINGS):
            entries = _list_tar(path)
        else:
            raise ToolboxError(f"{path.name} is neither a product nor a raster; give a folder, .zip, .tar, metadata file or rasters.")
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError, UnicodeDecodeError, NotImplementedError) as failure:
        raise ToolboxError(f"{path.name} is damaged or only partly downloaded ({failure}); download it again.") from failure
    _refuse_hostile(path, entries)
    return ProductFiles(path, _leave_out_twins(entries))


def _leave_out_twins(names: Iterable[str]) -> tuple[str, ...]:
    """Sorted, without the ._NAME that macOS puts beside each NAME, in archives and on disks of other systems, for its attributes."""
    return tuple(sorted(name for name in names if not PurePosixPath(name).name.startswith("._")))


def _walk(folder: Path) -> Iterable[str]:
    """Relative paths of the files below a folder, as far down as products go."""
    count = 0
    for place, folders, files in os.walk(folder):
        relative = Path(place).relative_to(folder)
        if len(relative.parts) >= DEEPEST_FOLDER:
            folders.clear()
        for file in files:
            count += 1
            if count > MOST_ENTRIES:
                raise ToolboxError(
                    f"The folder {folder} holds more than {MOST_ENTRIES} files; choose the folder of the product itself."
                )
            yield (relative / file).as_posix()


def _list_zip(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return [entry.filename for entry in archive.infolist() if entry.filename and not entry.filename.endswith("/")]


def _list_tar(path: Path) -> list[str]:
    names, size, end = [], path.stat().st_size, 0
    is_plain = path.name.lower().endswith(".tar")
    with _open_tar(path) as archive:
        for count, member in enumerate(archive, start=1):
            if count > MOST_ENTRIES:
                break
            if is_plain and member.offset_data + member.size > size:
                raise tarfile.ReadError(f"{member.name} ends after {size} bytes")
            if not (member.isfile() or member.isdir()):
                raise ToolboxError(f"{path.name} holds {member.name!r:.80}, which is a link or device; the archive is not a product.")
            if member.isfile():
                names.append(member.name.removeprefix("./"))
            end = member.offset_data + -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    if is_plain:
        _refuse_cut_header(path, end)
    return names


def _open_tar(path: Path) -> tarfile.TarFile:
    """The archive; raises tarfile.ReadError in few words, where tarfile lists every form that it has tried."""
    try:
        return tarfile.open(path)
    except tarfile.ReadError as failure:
        raise tarfile.ReadError("it is no tar archive") from failure


def _refuse_cut_header(path: Path, end: int) -> None:
    """Raises tarfile.ReadError when an entry begins after the last whole one, which tarfile passes over in silence."""
    with open(path, "rb") as file:
        file.seek(end)
        if any(file.read(tarfile.BLOCKSIZE)):
            raise tarfile.ReadError("its last entry breaks off")


def _refuse_hostile(path: Path, names: list[str]) -> None:
    """Refuses names that lead out of the archive or mean something to GDAL or another system."""
    if len(names) >= MOST_ENTRIES:
        raise ToolboxError(f"{path.name} holds {MOST_ENTRIES} files or more, which no product does; choose another archive.")
    for name in names:
        if not all(_PLAIN_NAME.fullmatch(part) for part in name.split("/")):
            raise ToolboxError(f"{path.name} holds a file with the name {name!r:.80}, as no product does; it is not opened.")
    if len(set(names)) < len(names):
        raise ToolboxError(f"{path.name} holds two files of the same name, as no product does; it is not opened.")
