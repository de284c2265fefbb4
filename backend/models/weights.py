# SPDX-License-Identifier: GPL-2.0-or-later
"""Pretrained encoder weights, from a file and never from the network.

Enters: a fresh network, what the user asked for, the folder of cached encoders (`<backbone>.safetensors` or `.pth` from photographs,
`<backbone>_<scene>` from satellite imagery). Steps: find the file, read it as data, bring its names to those of the encoder, fit
the first convolution to the bands, load. Either every tensor of the encoder is filled or the file is refused.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from ..errors import ToolboxError
from ..imagery.band_statistics import BandStatistics
from .registry import SizedNetwork
from .satellite import BACKBONES, Fit, adapt_state, describe_fit, find_file, find_fit
from .stem import adapt_stem, describe_stem

SUFFIXES = (".safetensors", ".pth", ".pt")
MAX_FILE_BYTES = 4 * 2**30
SAFE_TORCH = (2, 10)  # older ones can be made to run code by a crafted .pth even with weights_only (CVE-2026-24747)
HEAD = re.compile(r"(fc|classifier|head|head_dist|norm|norm_head|conv_head|last_linear)\.|bn2\.[a-z_]+$|.*num_batches_tracked$")
STAGE = re.compile(r"(?:stages[._]|blocks\.|layer)(\d+)")
EFFICIENTNET_STAGES = 7
PREFIXES = ("module.", "model.", "encoder.", "backbone.")


@dataclass(frozen=True)
class LoadedWeights:
    """What the encoder starts from.

    Attributes:
        pretrained: True when a file was loaded.
        description: One sentence for the log.
        warning: The user should notice that the network starts from scratch.
    """

    pretrained: bool
    description: str
    warning: bool = False


def load_encoder_weights(
    network: SizedNetwork, backbone: str, mode: str, weights_file: str | None, cache: str, bands: Sequence[BandStatistics]
) -> LoadedWeights:
    """Loads pretrained weights into the network's encoder, in place.

    Args:
        network: As `build_network` made it, on the CPU.
        backbone: Key of `ENCODERS`; the stem of the cached file.
        mode: `none` = keep random weights; `imagenet` = the cached file from photographs; `satellite` = the cached file from
            imagery of the sensor that the bands are of; `file` = `weights_file`; `auto` = satellite if there, else imagenet if
            there, else random weights and a warning.
        weights_file: State dictionary (.safetensors or .pth), for mode `file`.
        cache: Folder of cached encoders; empty = none.
        bands: The network's input channels.

    Raises:
        ToolboxError: No such file, an unreadable one, one that does not fill every tensor of the encoder, or bands that no
            satellite weights are for.
    """
    if mode == "none":
        return LoadedWeights(False, f"The encoder {backbone} starts from random weights.")
    fit = find_fit(bands) if mode in ("satellite", "auto") else None
    if mode == "satellite" or (mode == "auto" and fit is not None and _is_cached(fit, backbone, cache)):
        return _load_satellite(network, backbone, cache, fit, bands)
    hint = _advise_satellite(fit)
    path = Path(weights_file) if mode == "file" and weights_file else _find_cached(backbone, cache)
    if path is None and mode == "auto":
        return LoadedWeights(
            False,
            f"There are no pretrained weights for {backbone} on this computer, so it is trained from scratch, which needs more "
            f"labels and epochs; {_where_to_get(backbone, cache)}.{hint}",
            warning=True,
        )
    if path is None:
        raise ToolboxError(
            f"There are no ImageNet weights for {backbone} on this computer; {_where_to_get(backbone, cache)}, or choose WEIGHTS=auto."
        )
    count = _fill_encoder(network.encoder, read_state_dict(path), path.name, bands)
    return LoadedWeights(True, f"The encoder {backbone} starts from {path.name} ({count} tensors): {describe_stem(bands)}.{hint}")


def _load_satellite(
    network: SizedNetwork, backbone: str, cache: str, fit: Fit | None, bands: Sequence[BandStatistics]
) -> LoadedWeights:
    """Loads the weights of the bands' sensor; raises ToolboxError when there are none, see `find_file`."""
    if fit is None:
        raise ToolboxError(
            f"The bands {', '.join(band.name for band in bands)} are of no sensor that satellite weights are for (Landsat, "
            "Sentinel-2); name the bands of the image, for example with 'Prepare satellite scene', or choose WEIGHTS=imagenet."
        )
    path = find_file(fit, backbone, cache)
    count = _fill_encoder(network.encoder, adapt_state(read_state_dict(path), fit, bands, path.name), path.name)
    return LoadedWeights(
        True,
        f"The encoder {backbone} starts from {path.name} ({count} tensors), trained on {fit.scene.title}: {describe_fit(fit, bands)}.",
    )


def _is_cached(fit: Fit, backbone: str, cache: str) -> bool:
    """True when the satellite weights are there and know these values."""
    try:
        find_file(fit, backbone, cache)
    except ToolboxError:
        return False
    return True


def _advise_satellite(fit: Fit | None) -> str:
    """A sentence for who trains on satellite imagery without the weights for it; else empty."""
    if fit is None or fit.scale is None:
        return ""
    return (
        f" For {fit.scene.title} there are better weights: fetch them once with 'Install deep learning libraries', "
        f"ENCODERS=satellite, and choose the BACKBONE {' or '.join(BACKBONES)}."
    )


def _where_to_get(backbone: str, cache: str) -> str:
    """The next step when weights are missing."""
    folder = f", or put {backbone}.safetensors into {cache}" if cache else ""
    return f"choose WEIGHTS=file and a WEIGHTS_FILE with them{folder}"


def _find_cached(backbone: str, cache: str) -> Path | None:
    """The cached file of a backbone, if any."""
    if not cache:
        return None
    candidates = (Path(cache) / f"{backbone}{suffix}" for suffix in SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors in a .safetensors or .pth file, on the CPU.

    A wrapping `state_dict` or `model` entry and a prefix common to all names are removed.

    Raises:
        ToolboxError: Missing, too large, of another kind, damaged, or holding more than tensors.
    """
    if not path.is_file():
        raise ToolboxError(f"The weights file {path} does not exist; choose a .safetensors or .pth file.")
    if path.suffix.lower() not in SUFFIXES:
        raise ToolboxError(f"{path.name} is no weights file; choose a .safetensors or .pth file.")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ToolboxError(f"{path.name} has {path.stat().st_size:,} bytes; more than {MAX_FILE_BYTES:,} are not read.")
    try:
        content = safetensors.torch.load_file(path) if path.suffix.lower() == ".safetensors" else _unpickle(path)
    except (safetensors.SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError) as failure:
        raise ToolboxError(
            f"{path.name} cannot be read as weights; it is damaged or holds more than a state dictionary. Choose another file."
        ) from failure
    for wrapper in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not content or not all(isinstance(value, Tensor) for value in content.values()):
        raise ToolboxError(f"{path.name} holds no state dictionary of tensors; choose another file.")
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in content):
            content = {name.removeprefix(prefix): value for name, value in content.items()}
    return content


def _unpickle(path: Path) -> object:
    """Content of a .pth, tensors and plain containers only."""
    major, minor = (int(part) for part in torch.__version__.split(".")[:2])
    if (major, minor) < SAFE_TORCH:
        raise ToolboxError(
            f"PyTorch {torch.__version__} cannot read .pth files safely; update it with 'Install deep learning libraries'."
        )
    return torch.load(path, map_location="cpu", weights_only=True)


def _fill_encoder(encoder: nn.Module, state: Mapping[str, Tensor], source: str, bands: Sequence[BandStatistics] | None = None) -> int:
    """Loads `state` into the encoder; returns the number of tensors.

    With `bands` given, a first convolution for red, green and blue is fitted to them.

    Raises:
        ToolboxError: Not everything fits.
    """
    prefix = "model." if hasattr(encoder, "model") else ""  # timm encoders are wrapped once more
    own = {
        name.removeprefix(prefix): tensor for name, tensor in encoder.state_dict().items() if not name.endswith("num_batches_tracked")
    }
    stem = next(name for name, module in encoder.named_modules() if isinstance(module, nn.Conv2d)).removeprefix(prefix) + ".weight"
    found = _rename(state, own)
    if bands is not None and stem in found and found[stem].ndim == 4 and found[stem].shape[1] == 3:
        found[stem] = adapt_stem(found[stem].float(), bands)
    fitting = {name: tensor for name, tensor in found.items() if name in own and own[name].shape == tensor.shape}
    deepest = max((int(match[1]) for name in own if (match := STAGE.match(name))), default=-1)
    strange = [name for name in found if name not in own and not HEAD.match(name) and not _is_deeper(name, deepest)]
    if len(fitting) < len(own) or strange:
        raise ToolboxError(
            f"{source} does not fit this encoder: {len(fitting)} of its {len(own)} tensors match and {len(strange)} tensors "
            "of the file have no place in it; choose the BACKBONE the weights belong to."
        )
    encoder.load_state_dict({prefix + name: tensor for name, tensor in fitting.items()}, strict=False)
    return len(fitting)


def _is_deeper(name: str, deepest: int) -> bool:
    """True for a stage that this architecture does not use (PSPNet takes the first three)."""
    match = STAGE.match(name)
    return deepest >= 0 and match is not None and int(match[1]) > deepest


def _rename(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under the encoder's names: EfficientNet's original names are translated, timm's flattened stage names too."""
    if "_conv_stem.weight" in state:
        state = _rename_efficientnet(state, own)
    renamed = {}
    for name, tensor in state.items():
        flat = re.sub(r"^(stem|stages)\.(\d+)\.", r"\1_\2.", name)  # timm's feature encoders write stages_0 for stages.0
        renamed[flat if flat in own or (STAGE.match(flat) and any(STAGE.match(key) for key in own)) else name] = tensor
    return renamed


def _rename_efficientnet(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names of the first PyTorch port of EfficientNet (`_blocks.5._expand_conv`) as timm's (`blocks.3.0.conv_pw`).

    The port numbers the blocks through, timm by stage and repeat, in the same order. A block without expansion has two
    convolutions (depthwise, projection), any other three, and timm counts the names of the batch normalisations from 1 in either
    case.
    """
    places = sorted({tuple(int(part) for part in name.split(".")[1:3]) for name in own if name.startswith("blocks.")})
    unread = places[-1][0] + 1 if places[-1][0] + 1 < EFFICIENTNET_STAGES else None
    top = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    squeeze = {"_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand", "_depthwise_conv": "conv_dw"}
    plain = squeeze | {"_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    expanded = squeeze | {"_expand_conv": "conv_pw", "_bn0": "bn1", "_bn1": "bn2", "_project_conv": "conv_pwl", "_bn2": "bn3"}
    renamed = {}
    for name, tensor in state.items():
        parts = name.split(".")
        if parts[0] != "_blocks":
            renamed[".".join([top.get(parts[0], parts[0]), *parts[1:]])] = tensor
            continue
        block, layer, rest = int(parts[1]), parts[2], parts[3:]
        table = expanded if f"_blocks.{block}._expand_conv.weight" in state else plain
        # A block beyond the encoder's own is that of a larger relative, unless this architecture does without the last stages.
        place = ".".join(map(str, places[block])) if block < len(places) else f"{unread or 'beyond'}.{block}"
        renamed[".".join(["blocks", place, table.get(layer, layer), *rest])] = tensor
    return renamed
