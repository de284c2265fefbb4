# SPDX-License-Identifier: GPL-2.0-or-later
"""The stores of all layers that were labelled: each keeps its journal until its layer leaves the project."""

from __future__ import annotations

from collections.abc import Iterable

from qgis.core import QgsVectorLayer
from qgis.PyQt.QtCore import QObject

from .store import LabelStore


class OpenStores:
    """One store for each layer.

    Args:
        owner: Parent of the stores.
    """

    def __init__(self, owner: QObject) -> None:
        self._owner = owner
        self._stores: dict[str, LabelStore] = {}

    def of(self, layer: QgsVectorLayer) -> LabelStore:
        """The store of a layer, the same one each time; raises ToolboxError when the layer cannot be labelled."""
        if layer.id() not in self._stores:
            self._stores[layer.id()] = LabelStore(layer, self._owner)
        return self._stores[layer.id()]

    def forget(self, ids: Iterable[str]) -> None:
        """Closes the stores of layers that leave the project."""
        for layer_id in ids:
            store = self._stores.pop(layer_id, None)
            if store is not None:
                store.close()
                store.deleteLater()

    def close(self) -> None:
        """Closes all; unsaved labels stay in edit buffers and journals."""
        self.forget(list(self._stores))
