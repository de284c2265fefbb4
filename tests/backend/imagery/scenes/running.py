# SPDX-License-Identifier: GPL-2.0-or-later
"""How the tests run the stage ``scene``."""

import rasterio
from deep_learning_toolbox.backend.imagery.scenes.prepare import prepare_scene
from deep_learning_toolbox.backend.imagery.scenes.settings import SceneSettings

from ...rasters import drive


def prepare(inputs, output, **options):
    """The array of the result, and the events by kind; options are those of `SceneSettings`."""
    inputs = [str(path) for path in (inputs if isinstance(inputs, list) else [inputs])]
    events = drive(prepare_scene(SceneSettings(inputs, str(output), **options), "t1"))
    with rasterio.open(output) as made:
        return made.read(), events


def infos(events):
    return "\n".join(event["message"] for event in events.get("info", []))


def warnings(events):
    return "\n".join(event["message"] for event in events.get("warning", []))
