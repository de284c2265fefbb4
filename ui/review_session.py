# SPDX-License-Identifier: GPL-2.0-or-later
"""One interpreter's way through the points of a layer. No widgets; every answer is written at once, so nothing is lost.

Each interpreter has a field of answers, ``Truth_<name>``. The field ``GrndTruth``, which the assessment reads, holds the answer where
all who have answered agree, and −1 where they do not: such points are disputed until somebody decides them.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from qgis.core import QgsFeatureRequest, QgsField, QgsGeometry, QgsVectorDataProvider, QgsVectorLayer
from qgis.PyQt.QtCore import QVariant

from ..backend.errors import ToolboxError
from .review_agreement import Agreement, compare_answers

TRUTH, STATUS, COMMENT, CLASSIFIED = "GrndTruth", "Status", "Comment", "Classified"
ANSWER_PREFIX = "Truth_"
EARLIER = f"{ANSWER_PREFIX}earlier"  # what stood in GrndTruth before anybody answered here
SHAPEFILE, SHAPEFILE_LONGEST = "ESRI Shapefile", 10  # letters of a field's name
UNANSWERED = -1
OPEN, ANSWERED, SKIPPED, DISPUTED, DECIDED = "open", "answered", "skipped", "disputed", "decided"


class PointState(NamedTuple):
    """What is known of a point.

    Attributes:
        answer: The interpreter's own answer; None without one.
        truth: What stands in ``GrndTruth``; None without.
        classified: Class of the map; None where the layer does not tell.
        status: One of the words above.
        comment: Text, perhaps empty.
    """

    answer: int | None
    truth: int | None
    classified: int | None
    status: str
    comment: str


class ReviewSession:
    """The points of a layer in the order of their ids, and a place among them.

    Args:
        layer: Points, or polygons such as chips.
        reviewer: Name of the interpreter.

    Attributes:
        reviewer: The name as it stands in the field.
        ids: Feature ids in order.
        deciding: Answers settle disputed points, whatever the interpreters said.

    Raises:
        ToolboxError: The layer is empty or cannot be changed, or the name is blank.
    """

    def __init__(self, layer: QgsVectorLayer, reviewer: str) -> None:
        self.layer = layer
        self.reviewer = re.sub(r"\W+", "_", reviewer.strip()).strip("_")[:30]
        if not self.reviewer:
            raise ToolboxError("Give the reviewer's name: the answers are kept under it.")
        self.deciding = False
        self._answer_field = f"{ANSWER_PREFIX}{self.reviewer}"
        self._add_fields()
        self._states: dict[int, dict[str, Any]] = {}
        self._names: dict[str, str] = {}  # fields as they are spelled, by their names in lower case
        self._read()
        self.ids = sorted(self._states)
        if not self.ids:
            raise ToolboxError(f"The layer “{layer.name()}” has no features; choose another one.")
        self._take_earlier()
        self._reconcile()
        self._place = 0
        self.go_to_next_open()

    def _add_fields(self) -> None:
        """Adds the fields that are missing; raises ToolboxError when the layer does not allow it."""
        fields = self.layer.fields()
        present = {name.lower() for name in fields.names()}
        wanted = ((TRUTH, QVariant.Int), (STATUS, QVariant.String), (COMMENT, QVariant.String), (self._answer_field, QVariant.Int))
        missing = [QgsField(name, kind) for name, kind in wanted if name.lower() not in present]
        self._refuse_short_names([field.name() for field in missing])
        able = self.layer.dataProvider().capabilities()
        can_change = bool(able & QgsVectorDataProvider.Capability.ChangeAttributeValues)
        can_add = bool(able & QgsVectorDataProvider.Capability.AddAttributes)
        if not can_change or (missing and not can_add) or (missing and not self.layer.dataProvider().addAttributes(missing)):
            raise ToolboxError(f"The layer “{self.layer.name()}” cannot be changed; export it to a GeoPackage and review that.")
        if missing:
            self.layer.updateFields()
        lost = [name for name, _ in wanted if self._field(name) < 0]
        if lost:
            added = [place for place, name in enumerate(self.layer.fields().names()) if name.lower() not in present]
            self.layer.dataProvider().deleteAttributes(added)
            self.layer.updateFields()
            raise self._no_field(lost[0])

    def _refuse_short_names(self, names: list[str]) -> None:
        """Raises ToolboxError, before anything is changed, when the file would cut off a name."""
        too_long = [name for name in names if len(name) > SHAPEFILE_LONGEST]
        if too_long and self.layer.dataProvider().storageType() == SHAPEFILE:
            raise self._no_field(too_long[0])

    def _no_field(self, name: str) -> ToolboxError:
        return ToolboxError(
            f"The layer “{self.layer.name()}” cannot have the field {name}; export it to a GeoPackage and review that."
        )

    def _take_earlier(self) -> None:
        """Keeps truths that stand in the layer without any interpreter's answer as those of an earlier one."""
        found = {}
        for feature in self.ids:
            state = self.state(feature)
            if state.truth is not None and state.status != DECIDED and not self._answers(feature):
                found[feature] = state.truth
        if not found:
            return
        if self._field(EARLIER) < 0:
            self._refuse_short_names([EARLIER])
            self.layer.dataProvider().addAttributes([QgsField(EARLIER, QVariant.Int)])
            self.layer.updateFields()
        self._write_many({feature: {EARLIER: value} for feature, value in found.items()})
        self._read()

    def _reconcile(self) -> None:
        """Makes truth and status follow from the answers, where they were changed elsewhere; decisions stay."""
        changes = {}
        for feature in self.ids:
            answers, state = self._answers(feature), self.state(feature)
            if answers and state.status != DECIDED:
                wanted = _agree(answers)
                if (UNANSWERED if state.truth is None else state.truth, state.status) != (wanted[TRUTH], wanted[STATUS]):
                    changes[feature] = wanted
        self._write_many(changes)

    def refresh(self) -> bool:
        """Reads the layer anew after it was changed by others; False when no feature is left."""
        current, place = self.current, self._place
        self._states.clear()
        self._read()
        self.ids = sorted(self._states)
        self._place = self.ids.index(current) if current in self.ids else min(place, max(len(self.ids) - 1, 0))
        return bool(self.ids)

    @property
    def answered_before(self) -> int:
        """Features that bear an answer under this interpreter's name."""
        return len(self._answers_of(self._answer_field.lower()))

    def _field(self, name: str) -> int:
        return self.layer.fields().lookupField(name)  # finds it in any case of letters

    def _read(self, feature: int | None = None) -> None:
        """Reads what all features say, or one of them."""
        names = [name for name in self.layer.fields().names() if self._is_answer(name) or self._is_known(name)]
        self._names = {name.lower(): name for name in names}
        flags = QgsFeatureRequest.Flag.NoGeometry
        request = QgsFeatureRequest() if feature is None else QgsFeatureRequest(feature)
        request.setFlags(flags).setSubsetOfAttributes(names, self.layer.fields())
        for found in self.layer.getFeatures(request):
            self._states[found.id()] = {name.lower(): _plain(found[name]) for name in names}

    def _is_answer(self, name: str) -> bool:
        return name.lower().startswith(ANSWER_PREFIX.lower())

    def _is_known(self, name: str) -> bool:
        return name.lower() in {known.lower() for known in (TRUTH, STATUS, COMMENT, CLASSIFIED)}

    @property
    def current(self) -> int:
        """Id of the feature that is looked at."""
        return self.ids[self._place]

    @property
    def place(self) -> int:
        """Its place in the order, from 0."""
        return self._place

    def state(self, feature: int | None = None) -> PointState:
        """What is known of a feature, the current one by default."""
        values = self._states[self.current if feature is None else feature]
        answer, truth, classified = (_class_or_none(values.get(name.lower())) for name in (self._answer_field, TRUTH, CLASSIFIED))
        return PointState(answer, truth, classified, str(values.get(STATUS.lower()) or OPEN), str(values.get(COMMENT.lower()) or ""))

    def geometry(self) -> QgsGeometry:
        """Geometry of the current feature, in the layer's coordinates."""
        return self.layer.getGeometry(self.current)

    def values(self) -> set[int]:
        """Class values that occur in the map's class and in the answers."""
        wanted = (TRUTH.lower(), CLASSIFIED.lower())
        names = [name for name in self._names if self._is_answer(name) or name in wanted]
        found = {_class_or_none(values[name]) for values in self._states.values() for name in names}
        return {value for value in found if value is not None}

    def is_open(self, feature: int) -> bool:
        """Whether this interpreter still has something to say: an answer, or, when deciding, a decision."""
        state = self.state(feature)
        return state.status == DISPUTED if self.deciding else state.answer is None and state.status != DECIDED

    @property
    def done(self) -> int:
        """Features that are not open."""
        return sum(not self.is_open(feature) for feature in self.ids)

    def answer(self, value: int) -> None:
        """Sets the true class of the current feature."""
        if self.deciding:
            self._write({TRUTH: value, STATUS: DECIDED})
            return
        self._read(self.current)  # somebody else may have answered it in the meantime
        if self.state().status == DECIDED:
            self._write({self._answer_field: value})
            return
        answers = {**self._answers(self.current), self._answer_field.lower(): value}
        self._write({self._answer_field: value, **_agree(answers)})

    def skip(self) -> None:
        """Leaves the current feature open, marked as skipped unless somebody has answered it; skipped ones come last again."""
        if not self._answers(self.current) and self.state().status == OPEN:
            self._write({STATUS: SKIPPED})

    def comment(self, text: str) -> None:
        """Sets the comment on the current feature."""
        if text.strip() != self.state().comment:
            self._write({COMMENT: text.strip() or None})

    def _answers(self, feature: int) -> dict[str, int]:
        """All interpreters' answers by field."""
        found = {name: _class_or_none(value) for name, value in self._states[feature].items() if self._is_answer(name)}
        return {name: value for name, value in found.items() if value is not None}

    def step(self, by: int) -> None:
        """Goes on or back by so many features, at most to the ends."""
        self._place = min(max(self._place + by, 0), len(self.ids) - 1)

    def go_to_next_open(self) -> bool:
        """Goes to the next feature without an answer, from the current one on and around; those skipped come last."""
        turned = [*range(self._place, len(self.ids)), *range(self._place)]
        opened = [place for place in turned if self.is_open(self.ids[place])]
        fresh = [place for place in opened if self.state(self.ids[place]).status != SKIPPED]
        # Of the skipped ones, not the current one again while there is another.
        rest = [place for place in opened if place != self._place] or opened
        target = fresh or rest
        if target:
            self._place = target[0]
        return bool(target)

    def agreements(self) -> list[Agreement]:
        """How far this interpreter agrees with each other one."""
        mine = self._answers_of(self._answer_field.lower())
        others = sorted(name for name in self._names if self._is_answer(name) and name != self._answer_field.lower())
        return [compare_answers(mine, self._answers_of(name), self._names[name][len(ANSWER_PREFIX) :]) for name in others]

    def _answers_of(self, name: str) -> dict[int, int]:
        found = {feature: _class_or_none(values[name]) for feature, values in self._states.items()}
        return {feature: value for feature, value in found.items() if value is not None}

    @property
    def disputed(self) -> int:
        """Features on which the interpreters do not agree."""
        return sum(self.state(feature).status == DISPUTED for feature in self.ids)

    def _write(self, values: dict[str, Any]) -> None:
        """Writes into the current feature; see `_write_many`."""
        self._write_many({self.current: values})

    def _write_many(self, values: dict[int, dict[str, Any]]) -> None:
        """Writes into features: to the file at once, or into the edits when the layer is being edited.

        Raises:
            ToolboxError: It could not be written.
        """
        if not values:
            return
        changes = {feature: {self._field(name): value for name, value in row.items()} for feature, row in values.items()}
        if any(min(row) < 0 for row in changes.values()):
            raise ToolboxError(f"A field of “{self.layer.name()}” is gone; start the review anew.")
        if self.layer.isEditable():
            written = all(self.layer.changeAttributeValues(feature, row) for feature, row in changes.items())
        else:
            written = self.layer.dataProvider().changeAttributeValues(changes)
        if not written:
            raise ToolboxError(f"The answer could not be written to “{self.layer.name()}”; check that the file is not read-only.")
        for feature, row in values.items():
            self._states[feature].update({name.lower(): value for name, value in row.items()})
        self.layer.triggerRepaint()


def _agree(answers: dict[str, int]) -> dict[str, Any]:
    """Truth and status that follow from all interpreters' answers, of which there is one at least."""
    agreed = len(set(answers.values())) == 1
    return {TRUTH: next(iter(answers.values())) if agreed else UNANSWERED, STATUS: ANSWERED if agreed else DISPUTED}


def _plain(value: Any) -> Any:
    """A field's content; None for NULL."""
    return None if value is None or (isinstance(value, QVariant) and value.isNull()) else value


def _class_or_none(value: Any) -> int | None:
    """A class value; None for NULL and negative numbers, which mean "no answer"."""
    return int(value) if isinstance(value, (int, float)) and value >= 0 else None
