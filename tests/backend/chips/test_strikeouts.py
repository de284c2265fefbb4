# SPDX-License-Identifier: GPL-2.0-or-later
"""Chips struck out in the footprints: they stay so in the next inspection, and no other reader uses them."""

import shutil
import sqlite3

import pytest
from deep_learning_toolbox.backend.chips.folder import ChipFolder
from deep_learning_toolbox.backend.errors import ToolboxError

from .esri import ROAD, ROOF, EsriFolder, square
from .inspection import inspect, read_footprints, stem
from .test_export import run


def three_chips(path):
    folder = EsriFolder(path)
    for number, value in enumerate((ROOF, ROAD, ROOF)):
        folder.classified(number, square(value))
    return folder.finish()


def strike_out(footprints, *numbers, use=0):
    """Changes the field as QGIS does."""
    database = sqlite3.connect(footprints)
    for name in ("ST_IsEmpty", "ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY"):  # GDAL's; triggers name them but do not call them here
        database.create_function(name, 1, lambda _: None)
    with database:
        for number in numbers:
            changed = database.execute("UPDATE footprints SET use = ? WHERE chip LIKE ?", (use, f"%{stem(number)}.tif"))
            assert changed.rowcount == 1
    database.close()


def names(folder):
    return [chip.name for chip in folder.chips]


@pytest.fixture
def inspected(tmp_path):
    """A folder and its footprints."""
    path = three_chips(tmp_path / "esri")
    return path, inspect(path, tmp_path).footprints


def test_before_anything_is_struck_out_all_chips_are_used(inspected):
    opened = ChipFolder.open(inspected[0])
    assert (len(opened.chips), opened.struck_out, opened.footprints) == (3, 0, inspected[0] / "inspection" / "footprints.gpkg")


def test_chip_struck_out_is_not_read(inspected):
    folder, footprints = inspected
    strike_out(footprints, 1)
    opened = ChipFolder.open(folder)
    assert names(opened) == [stem(0), stem(2)]
    assert opened.struck_out == 1
    strike_out(footprints, 1, use=1)
    assert len(ChipFolder.open(folder).chips) == 3


def test_chip_that_cannot_be_read_may_be_struck_out(inspected):
    folder, footprints = inspected
    (folder / "images" / f"{stem(1)}.tif").write_bytes(b"broken")
    with pytest.raises(ToolboxError, match=rf"{stem(1)}\.tif cannot be read"):
        ChipFolder.open(folder)
    strike_out(footprints, 1)
    assert names(ChipFolder.open(folder)) == [stem(0), stem(2)]


def test_our_own_folder_honours_them_too(tmp_path):
    opened, _ = run(tmp_path)
    strike_out(inspect(opened.path, tmp_path).footprints, 0)
    again = ChipFolder.open(opened.path)
    assert names(again) == names(opened)[1:]
    assert again.struck_out == 1


@pytest.mark.parametrize("use", [None, 1])
def test_only_false_strikes_out(inspected, use):
    strike_out(inspected[1], 0, use=use)
    assert ChipFolder.open(inspected[0]).struck_out == 0


def test_next_inspection_keeps_what_is_struck_out(tmp_path, inspected):
    folder, footprints = inspected
    strike_out(footprints, 2)
    found = inspect(folder, tmp_path)
    assert [row["use"] for row in found.rows.values()] == [True, True, False]
    assert "1 chips stay struck out." in found.infos


def test_footprints_elsewhere_are_found(tmp_path):
    folder = three_chips(tmp_path / "esri")
    strike_out(inspect(folder, tmp_path, tmp_path / "elsewhere" / "f.gpkg").footprints, 0)
    opened = ChipFolder.open(folder)
    assert opened.struck_out == 1
    assert opened.footprints == tmp_path / "elsewhere" / "f.gpkg"


def test_last_inspection_decides_and_takes_over_what_was_struck_out(tmp_path, inspected):
    folder, footprints = inspected
    strike_out(footprints, 0)
    elsewhere = inspect(folder, tmp_path, tmp_path / "f.gpkg").footprints
    assert not read_footprints(elsewhere)[0][stem(0)]["use"]
    strike_out(elsewhere, 0, use=1)
    strike_out(elsewhere, 1)
    assert names(ChipFolder.open(folder)) == [stem(0), stem(2)]
    back = inspect(folder, tmp_path)
    assert [row["use"] for row in back.rows.values()] == [True, False, True]
    assert ChipFolder.open(folder).footprints == folder / "inspection" / "footprints.gpkg"


def test_folder_that_was_moved_keeps_what_is_struck_out(tmp_path, inspected):
    folder, footprints = inspected
    strike_out(footprints, 1)
    shutil.move(folder, tmp_path / "moved")
    assert ChipFolder.open(tmp_path / "moved").struck_out == 1


def test_footprints_that_are_gone_are_told_instead_of_using_all_chips(tmp_path):
    folder = three_chips(tmp_path / "esri")
    footprints = inspect(folder, tmp_path, tmp_path / "f.gpkg").footprints
    (tmp_path / "f.gpkg").unlink()
    with pytest.raises(ToolboxError, match=r"f\.gpkg, in which chips of .* may have been struck out, are gone"):
        ChipFolder.open(folder)
    found = inspect(folder, tmp_path)
    assert any("cannot be kept" in text and footprints in text for text in found.warnings)
    assert len(ChipFolder.open(folder).chips) == 3


def test_all_chips_struck_out_is_refused(inspected):
    folder, footprints = inspected
    strike_out(footprints, 0, 1, 2)
    with pytest.raises(ToolboxError, match="All chips are struck out"):
        ChipFolder.open(folder)


def test_all_chips_of_our_own_folder_struck_out_is_refused(tmp_path):
    opened, _ = run(tmp_path)
    strike_out(inspect(opened.path, tmp_path).footprints, 0, 1)
    with pytest.raises(ToolboxError, match=r"All 2 chips of .* are struck out in .*footprints\.gpkg"):
        ChipFolder.open(opened.path)


@pytest.mark.parametrize("content", [b"", b"not a database", b"SQLite format 3\x00"])
def test_damaged_footprints_are_refused(inspected, content):
    (inspected[0] / "inspection" / "footprints.gpkg").write_bytes(content)
    with pytest.raises(ToolboxError, match=r"footprints\.gpkg cannot be read"):
        ChipFolder.open(inspected[0])


def test_footprints_without_the_field_are_refused(inspected):
    database = sqlite3.connect(inspected[1])
    database.execute("ALTER TABLE footprints RENAME COLUMN use TO wanted")
    database.commit()
    database.close()
    with pytest.raises(ToolboxError, match="have no field “use”; run Inspect training data again"):
        ChipFolder.open(inspected[0])


@pytest.mark.parametrize("content", ["", "[]", '{"other": 1}'])
def test_damaged_pointer_is_refused(inspected, content):
    (inspected[0] / "inspection" / "footprints.json").write_text(content)
    with pytest.raises(ToolboxError, match=r"footprints\.json cannot be read"):
        ChipFolder.open(inspected[0])
