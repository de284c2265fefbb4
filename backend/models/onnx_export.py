# SPDX-License-Identifier: GPL-2.0-or-later
"""The stage "onnx": a model package as an ONNX file, which other programs run, with the metadata that the plugin Deepness reads.

Steps: read the package, put normalisation and softmax around the network, trace it at one tile size with a free number of tiles,
add the metadata, check the file, put it under its name. What other programs do otherwise is told as warnings.

Uses PyTorch's exporter by tracing: the newer one needs two packages more and gives nothing that these networks lack.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn

from ..errors import ToolboxError
from ..runtime.protocol import Event, info, progress, result, warning
from .definition import ModelDescription
from .onnx_network import PortableNetwork
from .onnx_settings import OnnxSettings
from .package import load_model

OPSET = 17  # of 2022: ONNX Runtime reads it from 1.12 on, and Deepness pins old ones
INPUT, OUTPUT, BATCH = "input", "probabilities", "batch"
OVERLAP_PERCENT = 15  # Deepness's own default
OWN_KEY = "deep_learning_toolbox"


def export_onnx(settings: OnnxSettings, job_id: str) -> Iterator[Event]:
    """Writes the ONNX file.

    Yields:
        Events; the result's output is OUTPUT (path).

    Raises:
        ToolboxError: The model cannot be read or expressed in ONNX, or the file cannot be written.
    """
    output = Path(settings.output).absolute()
    yield progress(0.0, "Reading the model")
    description, network = load_model(settings.model)
    side = settings.tile_size or description.chip_size
    if side < description.chip_size:
        yield warning(
            f"TILE_SIZE is {side}, smaller than the {description.chip_size} pixels of the model's chips: the network sees less around "
            "each pixel than in training, and the map may be worse."
        )
    yield progress(0.2, "Tracing the network")
    model = trace_network(PortableNetwork(network, description.bands), len(description.bands), side, description.name)
    for key, value in build_metadata(description, side).items():
        model.metadata_props.add(key=key, value=json.dumps(value, ensure_ascii=False))
    yield progress(0.8, "Writing")
    _write(model, output, job_id)
    yield info(
        f"{output.name}: tiles of {side} × {side} pixels, {len(description.bands)} bands in the order "
        f"{', '.join(band.name for band in description.bands)}, stored values (of any type) divided by 255; normalisation included."
    )
    yield info(
        "Classes by number: " + ", ".join(f"{number} = {name}" for number, name in _class_names(description).items()) + ". The class "
        "values of this toolbox are in the metadata."
    )
    if description.gsd_m is None:
        yield warning(
            "The model does not know its ground sample distance, so the resolution must be set by hand in the other program."
        )
    yield warning("Other programs do not know nodata: pixels without data get a class, too.")
    yield result({"OUTPUT": str(output)})


def trace_network(network: nn.Module, bands: int, side: int, name: str) -> onnx.ModelProto:
    """The network as ONNX, for images (any number, bands, side, side).

    Raises:
        ToolboxError: It contains what ONNX cannot express.
    """
    file = io.BytesIO()
    axes = {INPUT: {0: BATCH}, OUTPUT: {0: BATCH}}
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            # Tracing and the exporter warn of sizes that become constants, which is meant, of steps not folded, and of their own age.
            warnings.simplefilter("ignore")
            example = torch.rand(2, bands, side, side)  # two: with one, a step may be traced that holds for one image only
            # Traced apart from the export, because some decoders take another way, which ONNX lacks, while they are exported.
            traced = torch.jit.trace(network.eval(), example, check_trace=False)
            torch.onnx.export(
                traced,
                (example,),
                file,
                dynamo=False,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_axes=axes,
            )
    except (torch.onnx.errors.OnnxExporterError, torch.onnx.errors.SymbolicValueError) as failure:
        raise ToolboxError(
            f"The model {name} cannot be expressed in ONNX ({str(failure).strip().splitlines()[0]}); train one with another "
            "MODEL_TYPE or BACKBONE, such as unet with resnet34."
        ) from failure
    model = onnx.load_model_from_string(file.getvalue())
    onnx.checker.check_model(model)
    return model


def build_metadata(description: ModelDescription, side: int) -> dict[str, Any]:
    """Key → value of the metadata, each to be stored as JSON.

    Keys are those that Deepness reads; both spellings of the tile size, since its documentation and its reader differ. The mean of
    0 and deviation of 1 keep it from normalising once more, the threshold of 0 from turning uncertain pixels into the first class.
    """
    bands = len(description.bands)
    metadata: dict[str, Any] = {
        "model_type": "Segmentor",
        "class_names": _class_names(description),
        "tile_size": side,
        "tiles_size": side,
        "tiles_overlap": OVERLAP_PERCENT,
        "standardization_mean": [0.0] * bands,
        "standardization_std": [1.0] * bands,
        "seg_thresh": 0.0,
        "seg_small_segment": 0,
        OWN_KEY: {
            "name": description.name,
            "version": description.version,
            "bands": [band.name for band in description.bands],
            "class_values": list(description.class_values),
            "architecture": description.architecture,
            "backbone": description.backbone,
        },
    }
    if description.gsd_m is not None:
        metadata["resolution"] = round(100 * description.gsd_m, 6)  # centimetres per pixel
    return metadata


def _class_names(description: ModelDescription) -> dict[str, str]:
    """Channel → name."""
    return {str(number): name for number, name in enumerate(description.class_names)}


def _write(model: onnx.ModelProto, output: Path, job_id: str) -> None:
    """Writes the file under a temporary name first."""
    temporary = output.with_name(f".partial-{job_id}-{uuid.uuid4().hex[:6]}")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(model.SerializeToString())
        os.replace(temporary, output)
    except OSError as failure:
        raise ToolboxError(f"The file {output} cannot be written ({failure.strerror}); choose another place.") from failure
    finally:
        with contextlib.suppress(OSError):  # its folder could not be made
            temporary.unlink(missing_ok=True)
