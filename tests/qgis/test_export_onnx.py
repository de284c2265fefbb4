# SPDX-License-Identifier: GPL-2.0-or-later
"""Export model to ONNX, from the tool's side; what the file computes is tested in tests/backend/models."""

from qgis_helpers import Log, refusal, run


def test_a_model_is_exported_under_its_name_and_the_log_tells_how_to_use_it(model, folder):
    log = Log()
    result = run("exportonnx", log, MODEL=model, OUTPUT=folder / "model.onnx")
    assert result["OUTPUT"] == str(folder / "model.onnx")
    assert b"standardization_mean" in (folder / "model.onnx").read_bytes()
    assert any("0 = Water, 1 = Forest" in line for line in log.infos)
    assert any("nodata" in line for line in log.warnings)
    assert (folder / "model.request.json").is_file()
    assert sorted(path.name for path in folder.iterdir()) == ["model.onnx", "model.request.json"]


def test_what_is_no_model_is_refused(folder):
    (folder / "m.dlpk").write_bytes(b"nothing")
    assert "m.dlpk is no complete model package" in refusal("exportonnx", MODEL=folder / "m.dlpk", OUTPUT=folder / "m.onnx")
    assert not (folder / "m.onnx").exists()


def test_a_tile_out_of_range_is_refused(model, folder):
    assert "TILE_SIZE is 8" in refusal("exportonnx", MODEL=model, TILE_SIZE=8, OUTPUT=folder / "m.onnx")
