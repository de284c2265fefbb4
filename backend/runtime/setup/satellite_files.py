# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the encoders that were pretrained on satellite imagery lie, and the SHA-256 of each file.

They are the MoCo encoders of SSL4EO-L (Landsat surface reflectance, CC0-1.0, Stewart et al. 2023, arXiv 2306.09424) and of SSL4EO-S12
(Sentinel-2 level 1C, CC-BY-4.0, Wang et al. 2022, arXiv 2211.07044), as converted by the torchgeo project. Each address names a
commit, so that a file cannot change under it. What a file's channels are and how its input was scaled stands in `models.satellite`.
"""

from __future__ import annotations

_HUB = "https://huggingface.co/torchgeo"
_LANDSAT = f"{_HUB}/ssl4eo_landsat/resolve/1c88bb51b6e17a21dde5230738fa38b74bd74f76"

GROUP = "satellite"  # stands for all of them in ENCODERS
SATELLITE_FILES: dict[str, tuple[str, str]] = {  # name: address, SHA-256; 45 MB each for resnet18, 94 MB for resnet50
    "resnet18_landsat7": (
        f"{_LANDSAT}/resnet18_landsat_etm_sr_moco-4f078acd.pth",
        "4f078acda459e14febfbfb121d3bd3e650873756312801ec2be8896edf75687a",
    ),
    "resnet18_landsat8": (
        f"{_LANDSAT}/resnet18_landsat_oli_sr_moco-660e82ed.pth",
        "660e82ed7d2a7f9c39837b082630f3b0217a94e0b7a23752843b13dffb42eaa9",
    ),
    "resnet18_sentinel2": (
        f"{_HUB}/resnet18_sentinel2_all_moco/resolve/5b8cddc9a14f3844350b7f40b85bcd32aed75918/resnet18_sentinel2_all_moco-59bfdff9.pth",
        "59bfdff99c7af41adfa2557e684ec59aec79f4cf6bb1a2e9714b802f08e2222e",
    ),
    "resnet50_landsat7": (
        f"{_LANDSAT}/resnet50_landsat_etm_sr_moco-1266cde3.pth",
        "1266cde3dcc95e2d8a8d4ac3552b35c17a9191ef015ac5fc19f7080b2f4d8be0",
    ),
    "resnet50_landsat8": (
        f"{_LANDSAT}/resnet50_landsat_oli_sr_moco-ff580dad.pth",
        "ff580dad0fa8e82c686eae97d682838117ec69bd7ec72ef313b588ef796070c5",
    ),
    "resnet50_sentinel2": (
        f"{_HUB}/resnet50_sentinel2_all_moco/resolve/da4f3c9dbe09272eb902f3b37f46635fa4726879/resnet50_sentinel2_all_moco-df8b932e.pth",
        "df8b932e2a23a0773febedf3f650aa7d342b805f7876ca5ed6b139d7245d7c09",
    ),
}
