# SPDX-License-Identifier: GPL-2.0-or-later
"""Weights from satellite imagery: stand-ins of the same form as the published files, on bands in reflectance."""

from __future__ import annotations

import pytest
import torch
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.imagery.band_statistics import BandStatistics
from deep_learning_toolbox.backend.imagery.normalise import normalise
from deep_learning_toolbox.backend.models.registry import build_network
from deep_learning_toolbox.backend.models.satellite import BACKBONES, SCENES, find_fit
from deep_learning_toolbox.backend.models.weights import load_encoder_weights
from deep_learning_toolbox.backend.runtime.setup.satellite_files import SATELLITE_FILES

SIX = ("blue", "green", "red", "nir", "swir1", "swir2")
BACKBONE = "resnet18"


def reflectance(*names, wavelengths=None, factor=1.0):
    """Bands whose statistics differ from one another."""
    waves, high = wavelengths or [None] * len(names), 0.4 * factor
    return tuple(
        BandStatistics(name, 0.0, high, (0.05 + 0.02 * place) * factor, (0.01 + 0.003 * place) * factor, 0.0, high, 9, wave)
        for place, (name, wave) in enumerate(zip(names, waves, strict=True))
    )


@pytest.fixture
def save(tmp_path):
    """Writes a stand-in for the published file of a scene and returns the encoder it came from."""

    def make(scene, backbone=BACKBONE):
        torch.manual_seed(len(scene))
        encoder = build_network("unet", backbone, len(SCENES[scene].bands), 2).encoder.eval()
        with torch.no_grad():
            encoder.bn1.running_mean.uniform_(-1, 1)
        torch.save(encoder.state_dict(), tmp_path / f"{backbone}_{scene}.pth")
        return encoder

    return make


def load(bands, cache, mode="satellite", backbone=BACKBONE):
    network = build_network("unet", backbone, len(bands), 2).eval()
    return network.encoder, load_encoder_weights(network, backbone, mode, None, str(cache), bands)


@pytest.mark.parametrize(
    ("names", "wavelengths", "scene"),
    [
        (SIX, None, "landsat7"),
        (("coastal", *SIX), None, "landsat8"),
        (SIX, (0.482, 0.5615, 0.6545, 0.865, 1.6085, 2.2005), "landsat8"),
        (SIX, (0.4927, 0.5598, 0.6646, 0.8328, 1.6137, 2.2024), "sentinel2"),
        (("SR_B1", "SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B7"), None, "landsat7"),
        (("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"), None, "sentinel2"),
        (("swir2", "NDVI", "red", "Green", "BLUE", "nir"), None, "landsat7"),
        (("red", "green", "blue", "nir"), None, None),
        (("a", "b", "c", "d", "e", "f"), None, None),
        (("swir1", "swir2", "nir"), None, None),
    ],
)
def test_the_sensor_is_found_by_names_codes_and_wavelengths(names, wavelengths, scene):
    fit = find_fit(reflectance(*names, wavelengths=wavelengths))
    assert (fit and fit.name) == scene


def test_a_channel_is_given_once():
    assert find_fit(reflectance(*SIX, "B4", "NDVI")).channels == (0, 1, 2, 3, 4, 5, None, None)


@pytest.mark.parametrize("scene", ["landsat7", "landsat8", "sentinel2"])
def test_the_encoder_computes_what_it_did_on_its_own_scale_whatever_the_order(scene, save, tmp_path):
    original, brightest = save(scene), SCENES[scene].brightest
    order = torch.randperm(len(SCENES[scene].bands), generator=torch.Generator().manual_seed(1)).tolist()
    bands = reflectance(*(SCENES[scene].bands[channel] for channel in order))
    image = torch.rand(1, len(bands), 64, 64) * 0.3
    encoder, loaded = load(bands, tmp_path)
    stored = torch.empty_like(image)
    stored[:, order] = image / brightest
    with torch.inference_mode():
        wanted = original.bn1(original.conv1(stored))
        got = encoder.bn1(encoder.conv1(normalise(image, torch.ones(1, 64, 64, dtype=torch.bool), bands)))
    inner = (slice(None), slice(None), slice(2, -2), slice(2, -2))  # outside of it zeros are padded, which mean another reflectance
    assert torch.allclose(got[inner], wanted[inner], atol=1e-4)
    assert torch.equal(encoder.layer4[0].conv1.weight, original.layer4[0].conv1.weight)
    assert loaded.pretrained
    assert f"trained on {SCENES[scene].title}" in loaded.description


def test_sentinel2_as_stored_gives_the_same_as_in_reflectance(save, tmp_path):
    save("sentinel2")
    plain, _ = load(reflectance(*SCENES["sentinel2"].bands), tmp_path)
    stored, loaded = load(reflectance(*SCENES["sentinel2"].bands, factor=10_000), tmp_path)
    assert torch.allclose(plain.conv1.weight, stored.conv1.weight, rtol=1e-4)
    assert torch.allclose(plain.bn1.running_mean, stored.bn1.running_mean, atol=1e-4)
    assert "the values are taken as 10,000 x reflectance" in loaded.description


def test_a_lacking_band_counts_as_constant_and_a_new_one_starts_from_nothing(save, tmp_path):
    original = save("landsat8")
    bands = reflectance(*SIX, "NDVI", wavelengths=(0.482, 0.5615, 0.6545, 0.865, 1.6085, 2.2005, None))
    encoder, loaded = load(bands, tmp_path)
    assert not encoder.conv1.weight[:, 6].any()
    assert "'NDVI' start from nothing; coastal are not in the image" in loaded.description
    image = torch.zeros(1, 7, 64, 64)  # every band at its mean
    means = torch.tensor([band.mean for band in bands[:6]])
    stored = torch.cat([means.mean()[None], means]).view(1, 7, 1, 1).expand(1, 7, 64, 64) / 0.3
    with torch.inference_mode():
        wanted, got = original.bn1(original.conv1(stored)), encoder.bn1(encoder.conv1(image))
    assert torch.allclose(got[..., 8:-8, 8:-8], wanted[..., 8:-8, 8:-8], atol=1e-4)


def test_auto_prefers_satellite_weights_that_fit(save, tmp_path):
    save("landsat7")
    torch.save(build_network("unet", BACKBONE, 3, 2).encoder.state_dict(), tmp_path / "resnet18.pth")
    assert "resnet18_landsat7.pth" in load(reflectance(*SIX), tmp_path, "auto")[1].description
    assert "resnet18.pth" in load(reflectance(*SIX, factor=255), tmp_path, "auto")[1].description
    assert "resnet18.pth" in load(reflectance("red", "green", "blue"), tmp_path, "auto")[1].description
    assert "resnet18.pth" in load(reflectance(*SIX), tmp_path, "imagenet")[1].description


def test_auto_advises_the_better_weights_that_are_not_there(tmp_path):
    loaded = load(reflectance(*SIX), tmp_path, "auto")[1]
    assert loaded.warning
    assert "For Landsat 4 to 7 there are better weights" in loaded.description
    assert "better weights" not in load(reflectance("red", "green", "blue"), tmp_path, "auto")[1].description
    assert "better weights" not in load(reflectance(*SIX, factor=255), tmp_path, "auto")[1].description


@pytest.mark.parametrize(
    ("bands", "backbone", "words"),
    [
        (reflectance("red", "green", "blue"), BACKBONE, "are of no sensor that satellite weights are for"),
        (reflectance(*SIX), "resnet34", "no satellite weights for resnet34; choose the BACKBONE resnet18 or resnet50"),
        (reflectance(*SIX, factor=255), BACKBONE, "run 'Prepare satellite scene' with SCALE=reflectance"),
        (reflectance(*SIX), BACKBONE, "not on this computer; fetch them with .*ENCODERS=resnet18_landsat7"),
    ],
)
def test_satellite_weights_that_cannot_be_used_are_refused_with_the_next_step(tmp_path, bands, backbone, words):
    with pytest.raises(ToolboxError, match=words):
        load(bands, tmp_path, backbone=backbone)


def test_a_file_of_another_scene_or_a_damaged_one_is_refused(save, tmp_path):
    save("landsat8")
    (tmp_path / "resnet18_landsat8.pth").rename(tmp_path / "resnet18_landsat7.pth")
    with pytest.raises(ToolboxError, match="does not hold the weights of Landsat 4 to 7; delete it"):
        load(reflectance(*SIX), tmp_path)
    (tmp_path / "resnet18_landsat7.pth").write_bytes(b"x")
    with pytest.raises(ToolboxError, match="cannot be read as weights"):
        load(reflectance(*SIX), tmp_path)


def test_every_scene_has_an_address_for_every_backbone():
    assert set(SATELLITE_FILES) == {f"{backbone}_{scene}" for backbone in BACKBONES for scene in SCENES}
