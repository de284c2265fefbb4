# SPDX-License-Identifier: GPL-2.0-or-later
"""Says what a model definition of another program is, and why it cannot run here. Only reads; standard library only.

Such a file is an .emd by Esri's keys: written by arcgis.learn, by hand for a Python raster function, or as a template beside exported
chips. What is told comes from the file alone, so every value may be missing or of any type.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from .catalogue import ARCHITECTURES, ENCODERS

LONGEST_TEXT = 80  # characters of a value that are repeated in a message
PIXELS = "ImageClassification"
# What a ModelType answers, in words.
KINDS = {
    "imageclassification": "a classifier of pixels",
    "objectdetection": "a detector of objects",
    "objectclassification": "a classifier of whole objects",
    "instancedetection": "a detector of single objects with their outlines",
    "imagetranslation": "a translator of images into images",
    "imagecaptioner": "a writer of captions",
}
CHANGE = "changedetection"
ESRI_FRAMEWORK = "arcgis.learn"
ESRI_FUNCTION = "[functions]"  # begins the path of a function that comes with ArcGIS
PICKLES = (".pth", ".pt", ".pkl")
ANEW = "train a model with 'Train deep learning model' on its training chips, which it reads as ArcGIS has exported them"


def describe_foreign(definition: Mapping[str, Any], source: str) -> str:
    """The sentence for a model that is not ours: what it is as far as the file says, why it cannot run, what to do instead.

    Args:
        definition: JSON object of the .emd.
        source: File name for the message.
    """
    if _is_template(definition):
        return (
            f"{source} describes exported training chips and is no model; give their folder to 'Train deep learning model', and "
            "choose the .dlpk that it writes."
        )
    if not any(key in definition for key in ("Framework", "ModelType", "ModelFile", "InferenceFunction", "ModelConfiguration")):
        return f"{source} is no model definition: it has none of its keys; choose a .dlpk written by 'Train deep learning model'."
    facts = ", ".join(_list_facts(definition))
    reason, advice = _judge(definition)
    return f"{source} is a model of another program ({facts}), which cannot be run here, since {reason}; {advice}."


def _is_template(definition: Mapping[str, Any]) -> bool:
    """Whether it is the definition that an export of chips leaves, to be filled in by hand."""
    examples = [definition.get(key) for key in ("Framework", "ModelType", "ModelFile")]
    return any(isinstance(value, str) and value.lower().startswith("e.g.") for value in examples)


def _list_facts(definition: Mapping[str, Any]) -> list[str]:
    """What is known of the model, a few words each."""
    version = _text(definition.get("ArcGISLearnVersion"))
    networks = dict.fromkeys(filter(None, (_text(definition.get("ModelName")), _configuration(definition))))
    backbone = _parameter(definition, "backbone")
    texts = [
        _kind(definition),
        f"framework {_text(definition.get('Framework')) or 'not named'}" + (f" {version}" if version else ""),
        f"model {' / '.join(networks) or 'not named'}" + (f" with {backbone}" if backbone else ""),
        _count(definition.get("ExtractBands"), "band", "bands"),
        f"tiles of {definition['ImageWidth']} pixels" if isinstance(definition.get("ImageWidth"), int) else "",
        _count(definition.get("Classes"), "class", "classes"),
        f"weights '{_text(definition.get('ModelFile')) or '?'}'",
        f"function '{_function(definition)}'" if _function(definition) else "",
    ]
    return [text for text in texts if text]


def _kind(definition: Mapping[str, Any]) -> str:
    """What the model answers, with the word of the file."""
    word = _text(definition.get("ModelType"))
    known = KINDS.get(word.casefold())
    return f"{known}, ModelType {word}" if known else word


def _judge(definition: Mapping[str, Any]) -> tuple[str, str]:
    """Why it cannot run, and what to do; the first reason that no other way round could lift."""
    kind = _text(definition.get("ModelType"))
    framework = _text(definition.get("Framework"))
    function = _function(definition)
    if CHANGE in _configuration(definition).replace("_", "").casefold():
        return "it compares two images of a place", "classify both images with one model and compare the class rasters"
    if kind and kind.casefold() != PIXELS.casefold():
        return "the toolbox classifies pixels only", "use it in ArcGIS, or choose a model that classifies pixels"
    if framework.startswith(ESRI_FRAMEWORK):
        return _judge_esri(definition)
    if function and not function.casefold().startswith(ESRI_FUNCTION):
        return f"its network exists only as Python code ({function}), and code that comes with a model is never run", ANEW
    if framework and framework.casefold() not in ("pytorch", ESRI_FRAMEWORK):
        return f"the toolbox runs its own PyTorch networks and has no {framework}", ANEW
    return "it does not say how its network is built", ANEW


def _judge_esri(definition: Mapping[str, Any]) -> tuple[str, str]:
    """As `_judge`, for a classifier of pixels by arcgis.learn: which of our networks is of the same kind."""
    names = {entry.esri_name: (key, entry.title) for key, entry in ARCHITECTURES.items() if entry.esri_name}
    suffix = PurePosixPath(_text(definition.get("ModelFile")).replace("\\", "/")).suffix.lower()
    pickle = f", and its weights ({suffix}) are a form that may run code when it is opened" if suffix in PICKLES else ""
    key, title = names.get(_text(definition.get("ModelName")), ("", ""))
    if not key:
        return f"its network is one of {ESRI_FRAMEWORK}'s own{pickle}", ANEW
    backbone = _parameter(definition, "backbone")
    settings = f"MODEL_TYPE={key}" + (f", BACKBONE={backbone}" if backbone in ENCODERS else "")
    return f"{ESRI_FRAMEWORK}'s {title} has other layers than the one here{pickle}", f"{ANEW} ({settings})"


def _count(value: Any, one: str, many: str) -> str:
    """How long a list is, with its noun; empty for anything else."""
    return f"{len(value)} {one if len(value) == 1 else many}" if isinstance(value, list) else ""


def _configuration(definition: Mapping[str, Any]) -> str:
    """The ModelConfiguration, a text or an object with a name."""
    value = definition.get("ModelConfiguration")
    return _text(value.get("Name")) if isinstance(value, Mapping) else _text(value)


def _function(definition: Mapping[str, Any]) -> str:
    return _text(definition.get("InferenceFunction"))


def _parameter(definition: Mapping[str, Any], name: str) -> str:
    """A value of ModelParameters; older models have it beside the others."""
    parameters = definition.get("ModelParameters")
    inner = parameters.get(name) if isinstance(parameters, Mapping) else None
    return _text(inner) or _text(definition.get(name))


def _text(value: Any) -> str:
    """A text of the file in one line, shortened; empty for anything else."""
    if not isinstance(value, str):
        return ""
    line = " ".join(value.split())
    return line if len(line) <= LONGEST_TEXT else f"{line[: LONGEST_TEXT - 1]}…"
