# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import subprocess
import sys

import pytest
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.training.settings import TrainSettings


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "chips").mkdir()
    return tmp_path / "chips"


def test_the_defaults_are_accepted(folder, tmp_path):
    settings = TrainSettings(str(folder), str(tmp_path / "model"))
    assert (settings.model_type, settings.backbone, settings.max_epochs, settings.seed) == ("unet", "resnet34", 20, 42)
    assert settings.folders == [folder]


def test_all_faults_are_told_at_once(folder):
    with pytest.raises(ToolboxError) as refusal:
        TrainSettings(str(folder / "none"), "", model_type="u", backbone="r", split="chips", max_epochs=0, chip_size=9, weights="file")
    text = str(refusal.value)
    paths = ["none does not exist", "OUTPUT is empty", "WEIGHTS=file needs WEIGHTS_FILE"]
    names = ["MODEL_TYPE 'u'", "BACKBONE 'r'", "SPLIT 'chips' is unknown; choose one of spatial, random"]
    numbers = ["MAX_EPOCHS is 0", "CHIP_SIZE is 9"]
    assert [word for word in (*paths, *names, *numbers) if word not in text] == []


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"unlabelled": "x"}, "UNLABELED 'x'"),
        ({"loss": "x"}, "LOSS 'x'"),
        ({"augmentation": "x"}, "AUGMENTATION 'x'"),
        ({"monitor": "x"}, "MONITOR 'x'"),
        ({"validation_percent": 0}, "VALIDATION_PERCENT is 0"),
        ({"batch_size": -1}, "BATCH_SIZE is -1"),
        ({"learning_rate": float("nan")}, "LEARNING_RATE is nan"),
        ({"seed": -1}, "SEED is -1"),
        ({"split": "folder"}, "SPLIT=folder needs VALIDATION_INPUT"),
        ({"validation_folder": "/none/such"}, "VALIDATION_INPUT is given but SPLIT is 'spatial'"),
        ({"precision": "x"}, "PRECISION 'x'"),
        ({"weights_file": "x.pth"}, "WEIGHTS_FILE is given but WEIGHTS is 'auto'"),
        ({"pretrained_model": "none.dlpk"}, "PRETRAINED_MODEL none.dlpk does not exist"),
        ({"more_folders": ["/none/such"]}, "/none/such does not exist"),
        ({"model_type": "deeplabv3plus", "backbone": "pvt_v2_b0"}, "cannot be combined"),
    ],
)
def test_each_fault_is_named(folder, tmp_path, changes, word):
    with pytest.raises(ToolboxError, match=word.replace(".", r"\.")):
        TrainSettings(str(folder), str(tmp_path / "model"), **changes)


def test_the_chip_folder_is_not_a_place_for_the_model(folder):
    with pytest.raises(ToolboxError, match="OUTPUT is the chip folder"):
        TrainSettings(str(folder), str(folder))


def test_settings_are_checked_without_importing_pytorch():
    code = "import sys; import deep_learning_toolbox.backend.training.settings; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
