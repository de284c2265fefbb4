# SPDX-License-Identifier: GPL-2.0-or-later
"""The model package (.dlpk): a zip of a definition, weights, and what people want to read.

Members: `<name>.emd` (JSON with Esri's keys and an object `Toolbox` with ours), `<name>.safetensors`, `model_metrics.html`,
`ModelCharacteristics/…`. Everything is read as data: nothing is extracted to disk, names come from an allow list, sizes are
capped, `InferenceFunction` is never looked at. A package of ArcGIS's own is recognised and refused by name.
"""

from __future__ import annotations

import json
import lzma
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from ..errors import ToolboxError
from .definition import ModelDescription, parse_definition, to_definition
from .registry import SizedNetwork, build_network

__all__ = ["ModelDescription", "load_model", "read_package", "write_package"]

MAX_MEMBERS = 64
MAX_DEFINITION_BYTES = 16 * 2**20
MAX_WEIGHT_BYTES = 4 * 2**30
MAX_RATIO = 200  # JSON shrinks to a tenth, weights hardly at all: a member beyond this is a bomb
# What zipfile raises, and lets through, over damaged archives: broken names are ValueErrors, odd methods RuntimeErrors.
ARCHIVE_FAULTS = (
    zipfile.BadZipFile, OSError, EOFError, ValueError, KeyError, NotImplementedError, RuntimeError, OverflowError, struct.error,
    zlib.error, lzma.LZMAError,
)  # fmt: skip
ASIDE = re.compile(r"(model_metrics\.html|ModelCharacteristics/[\w.-]+\.(json|png))")


def write_package(
    path: Path, description: ModelDescription, state_dict: Mapping[str, Tensor], extra_files: Mapping[str, Path] | None = None
) -> None:
    """Writes a .dlpk; under its final name only when whole.

    Args:
        path: File to write; an existing one is replaced.
        description: What the network is; its name becomes the members' stem.
        state_dict: Tensors of the network `registry.build_network` builds; copied to the CPU.
        extra_files: Member name → file, of the names in the module's text.

    Raises:
        OSError: The file cannot be written.
        ValueError: An extra file has a name that has no place in a package.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.partial")
    tensors = {name: tensor.detach().to("cpu").contiguous() for name, tensor in state_dict.items()}
    try:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{description.name}.safetensors", safetensors.torch.save(tensors), zipfile.ZIP_STORED)
            for name, source in (extra_files or {}).items():
                if not ASIDE.fullmatch(name):
                    raise ValueError(f"{name} has no place in a model package")
                archive.write(source, name)
            definition = to_definition(description, len(tensors))
            archive.writestr(f"{description.name}.emd", json.dumps(definition, indent=2, ensure_ascii=False))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_package(path: Path | str) -> tuple[ModelDescription, dict[str, Tensor]]:
    """Description and tensors (on the CPU) of a .dlpk, or of an .emd with its .safetensors beside.

    Raises:
        ToolboxError: Missing, truncated, oversized or foreign file; the sentence says which.
    """
    path = Path(path)
    if not path.is_file():
        raise ToolboxError(f"The model {path} does not exist; choose a .dlpk written by 'Train deep learning model'.")
    definition, weights = _read_loose(path) if path.suffix.lower() == ".emd" else _read_archive(path)
    description = parse_definition(definition, path.name)
    try:
        state_dict = safetensors.torch.load(weights())
    except (safetensors.SafetensorError, KeyError, ValueError) as failure:
        raise ToolboxError(f"The weights in {path.name} are damaged ({failure}); copy the model again or train it anew.") from failure
    return description, state_dict


def load_model(path: Path | str) -> tuple[ModelDescription, SizedNetwork]:
    """Description and network, on the CPU in evaluation mode.

    Raises:
        ToolboxError: As `read_package`, or weights that do not fit the network described.
    """
    description, state_dict = read_package(path)
    network = build_network(description.architecture, description.backbone, len(description.bands), len(description.class_values))
    try:
        network.load_state_dict({name: tensor for name, tensor in state_dict.items() if not name.startswith(network.unread)})
    except RuntimeError as failure:
        raise ToolboxError(
            f"The weights in {Path(path).name} do not fit the network it describes ({description.architecture}, "
            f"{description.backbone}); the file was changed or comes from another version: train the model again."
        ) from failure
    return description, network.eval()


def _read_loose(path: Path) -> tuple[dict[str, Any], Callable[[], bytes]]:
    """Definition, and a function that reads the weights, of an .emd on disk."""
    definition = _parse_json(_read_capped(path, MAX_DEFINITION_BYTES), path.name)
    file_name = str(definition.get("ModelFile", ""))
    weights = path.parent / PurePosixPath(file_name.replace("\\", "/")).name  # never outside the folder of the .emd

    def read() -> bytes:
        if weights.suffix != ".safetensors" or not weights.is_file():
            raise ToolboxError(f"The weights of {path.name} are missing: '{weights.name}' must lie beside it.")
        return _read_capped(weights, MAX_WEIGHT_BYTES)

    return definition, read


def _read_archive(path: Path) -> tuple[dict[str, Any], Callable[[], bytes]]:
    """Definition, and a function that reads the weights, of a .dlpk."""
    members = _list_members(path)
    definitions = [name for name in members if name.lower().endswith(".emd") and "/" not in name]
    if len(definitions) != 1:
        raise ToolboxError(f"{path.name} is not a deep learning package: it holds {len(definitions)} .emd files, not one.")
    stem = definitions[0][: -len(".emd")]
    definition = _parse_json(_read_member(path, definitions[0], MAX_DEFINITION_BYTES, MAX_RATIO), path.name)

    def read() -> bytes:
        strange = [name for name in members if name not in (f"{stem}.emd", f"{stem}.safetensors") and not ASIDE.fullmatch(name)]
        if strange:
            raise ToolboxError(f"{path.name} holds the unexpected file '{strange[0]}' and is not opened; use the original package.")
        if f"{stem}.safetensors" not in members:
            raise ToolboxError(f"{path.name} holds no weights ('{stem}.safetensors'); copy the model again or train it anew.")
        return _read_member(path, f"{stem}.safetensors", MAX_WEIGHT_BYTES, MAX_RATIO)

    return definition, read


def _list_members(path: Path) -> list[str]:
    """Names of the files in an archive, after checks that need no reading."""
    try:
        with zipfile.ZipFile(path) as archive:
            # Not is_dir(), which fails on a name without a letter (CPython before 3.12).
            entries = [entry for entry in archive.infolist() if not entry.filename.endswith("/")]
    except ARCHIVE_FAULTS as failure:
        raise ToolboxError(f"{path.name} is no complete model package ({failure}); copy or train it again.") from failure
    if len(entries) > MAX_MEMBERS:
        raise ToolboxError(f"{path.name} holds {len(entries)} files, more than the {MAX_MEMBERS} of a model package.")
    for entry in entries:
        parts = PurePosixPath(entry.filename.replace("\\", "/")).parts
        unsafe = not parts or ".." in parts or parts[0].startswith("/") or ":" in parts[0]
        if unsafe or stat.S_ISLNK(entry.external_attr >> 16) or "\\" in entry.orig_filename:
            raise ToolboxError(f"{path.name} holds the unsafe file name '{entry.filename}' and is not opened.")
    return [entry.filename for entry in entries]


def _read_member(path: Path, name: str, limit: int, max_ratio: int) -> bytes:
    """Content of one member; neither its declared nor its real size may pass `limit` bytes."""
    try:
        with zipfile.ZipFile(path) as archive:
            entry = archive.getinfo(name)
            if entry.file_size > limit or entry.file_size > max_ratio * max(entry.compress_size, 1):
                raise ToolboxError(f"'{name}' in {path.name} unpacks to {entry.file_size:,} bytes, which no model needs; not opened.")
            with archive.open(entry) as stream:
                content = stream.read(limit + 1)
    except ARCHIVE_FAULTS as failure:
        raise ToolboxError(f"{path.name} is damaged ({failure}); copy or train it again.") from failure
    if len(content) > limit:
        raise ToolboxError(f"'{name}' in {path.name} is larger than the {limit:,} bytes that are read.")
    return content


def _read_capped(path: Path, limit: int) -> bytes:
    """Content of a file of at most `limit` bytes."""
    if path.stat().st_size > limit:
        raise ToolboxError(f"{path.name} is larger than the {limit:,} bytes that are read.")
    return path.read_bytes()


def _parse_json(content: bytes, name: str) -> dict[str, Any]:
    """The JSON object in `content`."""
    try:
        definition = json.loads(content.decode("utf-8-sig"))
    except (UnicodeDecodeError, ValueError, RecursionError) as failure:
        raise ToolboxError(f"The definition in {name} is not readable JSON; copy the model again.") from failure
    if not isinstance(definition, dict):
        raise ToolboxError(f"The definition in {name} is not a JSON object; choose a model definition.")
    return definition
