# SPDX-License-Identifier: GPL-2.0-or-later
"""Archives that are damaged, foreign or hostile, and that nothing is unpacked from them."""

import io
import tarfile
import zipfile

import pytest
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.imagery.scenes import files
from deep_learning_toolbox.backend.imagery.scenes.files import list_files

from .products import landsat, pack_tar, pack_zip, sentinel2
from .running import prepare

HOSTILE = [
    "../outside.tif",
    "a/../../outside.tif",
    "/etc/passwd",
    "C:\\windows\\a.tif",
    "a\\b.tif",
    "a//b.tif",
    "a/./b.tif",
    "a/{b}.tif",
    "a?b=c",
    "nul\tname",
    "über/../x",
    "",
]


@pytest.fixture
def output(tmp_path):
    return tmp_path / "out" / "stack.tif"


def add(archive, name, content=b"x", kind=tarfile.REGTYPE, link=""):
    entry = tarfile.TarInfo(name)
    entry.size, entry.type, entry.linkname = len(content) if kind == tarfile.REGTYPE else 0, kind, link
    archive.addfile(entry, io.BytesIO(content))


@pytest.mark.parametrize("name", [name for name in HOSTILE if name])
def test_zip_with_a_hostile_member_name_is_refused(tmp_path, output, name):
    archive = pack_zip(sentinel2(tmp_path), tmp_path / "product.zip")
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr(name, "x")
    with pytest.raises(ToolboxError, match="as no product does"):
        prepare(archive, output)
    assert not output.parent.exists()


@pytest.mark.parametrize("name", HOSTILE)
def test_tar_with_a_hostile_member_name_is_refused(tmp_path, output, name):
    folder = tmp_path / "product"
    folder.mkdir()
    archive = pack_tar(landsat(folder), tmp_path / "product.tar")
    with tarfile.open(archive, "a") as opened:
        add(opened, name)
    with pytest.raises(ToolboxError, match="as no product does"):
        prepare(archive, output)
    assert not output.parent.exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_tar_with_a_link_or_device_is_refused(tmp_path, output, kind):
    path = tmp_path / "product.tar"
    with tarfile.open(path, "w") as archive:
        add(archive, "LC08_B4.TIF", kind=kind, link="/etc/passwd")
    with pytest.raises(ToolboxError, match="link or device"):
        prepare(path, output)


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_truncated_archive_is_refused(tmp_path, output, kind, share):
    if kind == "tar":
        folder = tmp_path / "product"
        folder.mkdir()
        archive = pack_tar(landsat(folder), tmp_path / "product.tar")
        with tarfile.open(archive) as whole:
            last = whole.getmembers()[-1]
        content = archive.read_bytes()[: last.offset_data + last.size]  # without the padding at the end, which nobody misses
    else:
        archive = pack_zip(sentinel2(tmp_path), tmp_path / "product.zip")
        content = archive.read_bytes()
    archive.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ToolboxError, match="damaged or only partly downloaded"):
        prepare(archive, output)
    assert not output.parent.exists()


def test_archive_of_something_else_is_refused(tmp_path, output):
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("photo.jpg", "x")
    with pytest.raises(ToolboxError, match="holds neither rasters nor the metadata"):
        prepare(path, output)
    (tmp_path / "text.zip").write_text("no archive", encoding="utf-8")
    with pytest.raises(ToolboxError, match="damaged or only partly downloaded"):
        prepare(tmp_path / "text.zip", output)


def test_metadata_file_that_grows_without_end_is_refused(tmp_path, output, monkeypatch):
    archive = pack_zip(sentinel2(tmp_path), tmp_path / "product.zip")
    monkeypatch.setattr(files, "LARGEST_METADATA", 100)
    with pytest.raises(ToolboxError, match="larger than any metadata file"):
        prepare(archive, output)


def test_archive_with_more_files_than_a_product_is_refused(tmp_path, output, monkeypatch):
    archive = pack_zip(sentinel2(tmp_path), tmp_path / "product.zip")
    monkeypatch.setattr(files, "MOST_ENTRIES", 10)
    with pytest.raises(ToolboxError, match="holds 10 files or more"):
        prepare(archive, output)


def test_member_names_of_genuine_products_are_taken(tmp_path):
    names = [
        "S2B_MSIL2A_20220413T150759_N0400_R025_T33XWJ_20220414T082126.SAFE/HTML/UserProduct_index.html",
        "S2B_MSIL2A_20220413T150759_N0400_R025_T33XWJ_20220414T082126.SAFE/rep_info/S2_PDI_Level-2A_Tile_Metadata.xsd",
        "__MACOSX/._S2B_MSIL2A_20220413T150759_N0400_R025_T33XWJ_20220414T082126.SAFE",
        ".DS_Store",
        "LC08_L2SP_047027_20201204_20210313_02_T1_SR_B4 (1).TIF",
    ]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    assert list_files(tmp_path / "a.zip").names == tuple(sorted(name for name in names if "__MACOSX" not in name))


def test_tar_with_leading_dots_and_compressed_tar_are_read(tmp_path, output):
    folder = tmp_path / "product"
    folder.mkdir()
    landsat(folder)
    for ending, mode in ((".tar", "w"), (".tar.gz", "w:gz"), (".tgz", "w:gz")):
        path = tmp_path / f"product{ending}"
        with tarfile.open(path, mode) as archive:
            for file in sorted(folder.iterdir()):
                archive.add(file, f"./{file.name}")
        values, _ = prepare(path, output)
        assert values == pytest.approx(0.075, abs=1e-7)


def test_place_that_is_not_there_is_refused(tmp_path, output):
    with pytest.raises(ToolboxError, match="There is no file or folder"):
        prepare(tmp_path / "gone.zip", output)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ToolboxError, match="holds neither rasters nor"):
        prepare(tmp_path / "empty", output)


@pytest.mark.parametrize(
    ("offset", "content"),
    [(6, b"\x63\x00"), (8, b"\x00\x08\x00")],
    ids=["version of the format that is not known", "name that is no UTF-8"],
)
def test_zip_with_a_damaged_directory_is_told_as_such(tmp_path, output, offset, content):
    archive = pack_zip(sentinel2(tmp_path), tmp_path / "product.zip")
    damaged = bytearray(archive.read_bytes())
    entry = damaged.find(b"PK\x01\x02")
    damaged[entry + offset : entry + offset + 2] = content[:2]
    if len(content) > 2:
        damaged[entry + 46] = 0xFF  # first byte of the name
    archive.write_bytes(damaged)
    with pytest.raises(ToolboxError, match=r"product.zip is damaged or only partly downloaded \(.*\); download it again"):
        prepare(archive, output)


def test_what_is_no_tar_is_told_in_one_line(tmp_path, output):
    archive = tmp_path / "product.tar"
    archive.write_bytes(b"<html>Log in</html>" * 50)
    with pytest.raises(ToolboxError) as told:
        prepare(archive, output)
    assert str(told.value) == "product.tar is damaged or only partly downloaded (it is no tar archive); download it again."
