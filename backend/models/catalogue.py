# SPDX-License-Identifier: GPL-2.0-or-later
"""The white lists of architectures and backbones, as data.

Standard library only, so that settings can be checked in milliseconds; `registry` builds the networks. Only what was built and
run forward and backward with odd sizes stands here. Backbones carry the licence of the usual ImageNet weights; encoders whose
weights forbid commercial use (SegFormer's `mit_b*`) are left out on purpose.

*Convolutional* means that the answer at a pixel depends on a bounded neighbourhood only, so that a tile larger than the training
chip gives the same answer. Global pooling (pyramids, squeeze-and-excitation), attention and group normalisation over the image
break that.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ToolboxError


@dataclass(frozen=True)
class Architecture:
    """A decoder.

    Attributes:
        title: Name shown to people.
        smp_class: Class of segmentation-models-pytorch.
        convolutional: See the module's text.
        dilated: It asks the encoder for dilated convolutions.
        esri_name: `ModelName` that ArcGIS writes for the same kind of network.
        smallest_batch: Chips that a step needs; 2 where a branch has one value per channel and chip, which batch normalisation
            cannot train on alone.
    """

    title: str
    smp_class: str
    convolutional: bool
    dilated: bool = False
    esri_name: str = ""
    smallest_batch: int = 1


@dataclass(frozen=True)
class Encoder:
    """A backbone.

    Attributes:
        smp_name: Name in segmentation-models-pytorch (`tu-` = taken from timm).
        licence: SPDX identifier of the usual ImageNet weights (timm's default for this name).
        millions: Parameters in millions, to compare sizes.
        convolutional: See the module's text.
        dilatable: Can be built with dilated convolutions.
        learning_rate: Default peak rate of AdamW for the decoder; networks with layer normalisation want a smaller one.
    """

    smp_name: str
    licence: str
    millions: float
    convolutional: bool = True
    dilatable: bool = True
    learning_rate: float = 2e-3


ARCHITECTURES: dict[str, Architecture] = {
    "unet": Architecture("U-Net", "Unet", convolutional=True, esri_name="UnetClassifier"),
    "unetplusplus": Architecture("U-Net++", "UnetPlusPlus", convolutional=True),
    "deeplabv3plus": Architecture(
        "DeepLabV3+", "DeepLabV3Plus", convolutional=False, dilated=True, esri_name="DeepLab", smallest_batch=2
    ),
    "pspnet": Architecture("PSPNet", "PSPNet", convolutional=False, esri_name="PSPNetClassifier"),
    "fpn": Architecture("FPN", "FPN", convolutional=False),
    "linknet": Architecture("LinkNet", "Linknet", convolutional=True),
    "manet": Architecture("MA-Net", "MAnet", convolutional=False),
    "upernet": Architecture("UPerNet", "UPerNet", convolutional=False, smallest_batch=2),
    "segformer": Architecture("SegFormer head", "Segformer", convolutional=True),
}

ENCODERS: dict[str, Encoder] = {
    "resnet18": Encoder("resnet18", "Apache-2.0", 11.2),
    "resnet34": Encoder("resnet34", "Apache-2.0", 21.3),
    "resnet50": Encoder("resnet50", "Apache-2.0", 23.5),
    "resnet101": Encoder("resnet101", "Apache-2.0", 42.5),
    "tf_efficientnet_lite0": Encoder("tu-tf_efficientnet_lite0", "Apache-2.0", 3.0),
    "efficientnet_b0": Encoder("tu-efficientnet_b0", "Apache-2.0", 3.6, convolutional=False),
    "efficientnet_b2": Encoder("tu-efficientnet_b2", "Apache-2.0", 7.2, convolutional=False),
    "efficientnet_b4": Encoder("tu-efficientnet_b4", "Apache-2.0", 16.7, convolutional=False),
    "mobilenetv2_100": Encoder("tu-mobilenetv2_100", "Apache-2.0", 1.8),
    "mobilenetv3_small_100": Encoder("tu-mobilenetv3_small_100", "Apache-2.0", 0.9, convolutional=False),
    "mobilenetv3_large_100": Encoder("tu-mobilenetv3_large_100", "Apache-2.0", 3.0, convolutional=False),
    "convnext_tiny": Encoder("tu-convnext_tiny", "Apache-2.0", 27.8, learning_rate=5e-4),
    "pvt_v2_b0": Encoder("tu-pvt_v2_b0", "Apache-2.0", 3.4, convolutional=False, dilatable=False, learning_rate=5e-4),
    "pvt_v2_b2": Encoder("tu-pvt_v2_b2", "Apache-2.0", 24.8, convolutional=False, dilatable=False, learning_rate=5e-4),
}

WEIGHT_MODES = ("auto", "none", "imagenet", "satellite", "file")  # what an encoder may start from, see `weights`


def check_choice(architecture: str, backbone: str) -> list[str]:
    """Sentences on what is wrong with this pair; empty when it can be built."""
    faults = []
    if architecture not in ARCHITECTURES:
        faults.append(f"MODEL_TYPE '{architecture}' is unknown; choose one of {', '.join(ARCHITECTURES)}.")
    if backbone not in ENCODERS:
        faults.append(f"BACKBONE '{backbone}' is unknown; choose one of {', '.join(ENCODERS)}.")
    if not faults and ARCHITECTURES[architecture].dilated and not ENCODERS[backbone].dilatable:
        fitting = ", ".join(name for name, encoder in ENCODERS.items() if encoder.dilatable)
        faults.append(f"BACKBONE '{backbone}' cannot be combined with MODEL_TYPE '{architecture}'; choose one of {fitting}.")
    return faults


def check_batch(architecture: str, batch_size: int) -> list[str]:
    """A sentence when steps of so many chips cannot train the architecture; 0 stands for a size that is chosen later."""
    smallest = ARCHITECTURES[architecture].smallest_batch if architecture in ARCHITECTURES else 1
    if not 0 < batch_size < smallest:
        return []
    return [
        f"BATCH_SIZE is {batch_size}, but MODEL_TYPE '{architecture}' learns from {smallest} chips a step or more; choose 0 or "
        f"{smallest}."
    ]


def is_convolutional(architecture: str, backbone: str) -> bool:
    """True when tiles larger than the training chip give the same answer in their interior.

    Raises:
        ToolboxError: Unknown architecture or backbone.
    """
    if faults := check_choice(architecture, backbone):
        raise ToolboxError(" ".join(faults))
    return ARCHITECTURES[architecture].convolutional and ENCODERS[backbone].convolutional
