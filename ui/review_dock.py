# SPDX-License-Identifier: GPL-2.0-or-later
"""The review dock: asks for the true class point by point. It shows and emits; `review.Review` does the rest."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import QgsMapLayerProxyModel
from qgis.gui import QgsDockWidget, QgsMapLayerComboBox, QgsScaleWidget
from qgis.PyQt.QtCore import QCoreApplication, QSize, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QIcon, QPixmap
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from .review_classes import ReviewClass

ICON_SIDE = 14  # pixels


def tr(text: str) -> str:
    """The text in QGIS's language."""
    return QCoreApplication.translate("DeepLearningToolbox", text)


class ReviewDock(QgsDockWidget):
    """Input above, the point under review below.

    Signals:
        start_clicked: The review is to begin or to end.
        class_chosen: Value of the class that the current point is of.
        skip_clicked, back_clicked, next_clicked: Where to go; next means the next open point.
        commented: Text on the current point.
        other_clicked: The point is of a class that is not listed.
        options_changed: The scale was changed.
    """

    start_clicked = pyqtSignal()
    class_chosen = pyqtSignal(int)
    skip_clicked = pyqtSignal()
    back_clicked = pyqtSignal()
    next_clicked = pyqtSignal()
    commented = pyqtSignal(str)
    other_clicked = pyqtSignal()
    options_changed = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(tr("Review accuracy points"), parent)
        self.setObjectName("DeepLearningToolboxReview")  # QGIS restores its place by this name
        body = QWidget()
        layout = QVBoxLayout(body)
        layout.addWidget(self._build_input())
        layout.addWidget(self._build_review())
        layout.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(body)
        self.setWidget(area)
        self.show_running(False)

    def _build_input(self) -> QWidget:
        self.input = QWidget()
        form = QFormLayout(self.input)
        form.setContentsMargins(0, 0, 0, 0)
        self.layer = QgsMapLayerComboBox()
        self.layer.setFilters(QgsMapLayerProxyModel.Filter.PointLayer | QgsMapLayerProxyModel.Filter.PolygonLayer)
        self.class_raster = QgsMapLayerComboBox()
        self.class_raster.setFilters(QgsMapLayerProxyModel.Filter.RasterLayer)
        self.class_raster.setAllowEmptyLayer(True)
        self.class_raster.setToolTip(tr("Its legend gives names and colours of the classes; it is hidden in a blind review."))
        self.reviewer = QLineEdit()
        self.reviewer.setToolTip(tr("Answers are kept under this name, so that several people can review the same points."))
        self.blind = QCheckBox(tr("Blind review"))
        self.blind.setToolTip(tr("The map's class is hidden until the point is answered; nobody shall be swayed by it."))
        self.blind.setChecked(True)
        self.deciding = QCheckBox(tr("Decide disputed points"))
        self.deciding.setToolTip(tr("Goes through the points on which reviewers differ; the answer is the final one."))
        form.addRow(tr("Points or chips"), self.layer)
        form.addRow(tr("Classes from map"), self.class_raster)
        form.addRow(tr("Reviewer"), self.reviewer)
        form.addRow(self.blind)
        form.addRow(self.deciding)
        self.start = QPushButton()
        self.start.clicked.connect(self.start_clicked)
        outer = QWidget()
        layout = QVBoxLayout(outer)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.input)
        layout.addWidget(self.start)
        return outer

    def _build_review(self) -> QWidget:
        self.review = QGroupBox(tr("What is really there?"))
        layout = QVBoxLayout(self.review)
        self.progress = QProgressBar()
        self.point = QLabel()
        self.point.setWordWrap(True)
        self.classes = QVBoxLayout()
        self.result = QLabel()
        self.result.setWordWrap(True)
        layout.addWidget(self.progress)
        layout.addWidget(self.point)
        layout.addLayout(self.classes)
        self.other = QPushButton(tr("Another class…"))
        self.other.setFlat(True)
        self.other.setToolTip(tr("For what the map has no class for: give its value."))
        self.other.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.other.clicked.connect(self.other_clicked)
        layout.addWidget(self.other)
        layout.addWidget(self.result)
        layout.addLayout(self._build_steps())
        self.comment = QLineEdit()
        self.comment.setPlaceholderText(tr("Comment (C)"))
        self.comment.editingFinished.connect(lambda: self.commented.emit(self.comment.text()))
        self.advance = QCheckBox(tr("Go on after an answer"))
        self.advance.setChecked(True)
        self.scale = QgsScaleWidget()
        self.scale.setScale(5000)
        self.scale.scaleChanged.connect(lambda _scale: self.options_changed.emit())
        row = QHBoxLayout()
        row.addWidget(QLabel(tr("Scale")))
        row.addWidget(self.scale, 1)
        self.agreement = QLabel()
        self.agreement.setWordWrap(True)
        layout.addWidget(self.comment)
        layout.addWidget(self.advance)
        layout.addLayout(row)
        layout.addWidget(self.agreement)
        return self.review

    def _build_steps(self) -> QHBoxLayout:
        row = QHBoxLayout()
        for text, key, signal in (
            (tr("Back"), "B", self.back_clicked),
            (tr("Skip"), "S", self.skip_clicked),
            (tr("Next"), "N", self.next_clicked),
        ):
            button = QPushButton(f"{text} ({key})")
            button.setMinimumWidth(0)
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the keys must stay those of the canvas
            button.clicked.connect(signal)
            row.addWidget(button)
        return row

    def show_running(self, is_running: bool) -> None:
        """Switches between choosing the input and reviewing."""
        self.input.setEnabled(not is_running)
        self.review.setVisible(is_running)
        self.start.setText(tr("End review") if is_running else tr("Start review"))

    def show_classes(self, classes: Sequence[ReviewClass]) -> None:
        """One button per class."""
        while self.classes.count():
            self.classes.takeAt(0).widget().deleteLater()
        for entry in classes:
            button = QToolButton()
            button.setText(f"{entry.key}   {entry.name}" if entry.key else entry.name)
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            button.setIcon(_swatch(entry.color))
            button.setIconSize(QSize(ICON_SIDE, ICON_SIDE))
            button.setCheckable(True)
            button.setProperty("class_value", entry.value)
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            button.clicked.connect(lambda _checked, value=entry.value: self.class_chosen.emit(value))
            self.classes.addWidget(button)

    def class_buttons(self) -> list[QToolButton]:
        """The buttons of the classes, in order."""
        return [self.classes.itemAt(place).widget() for place in range(self.classes.count())]

    def show_point(self, text: str, answer: int | None, result: str, comment: str) -> None:
        """The current point: what it is, the class chosen for it, what may be told of it, and its comment."""
        self.point.setText(text)
        self.result.setText(result)
        self.comment.setText(comment)
        for button in self.class_buttons():
            button.setChecked(button.property("class_value") == answer)

    def show_progress(self, done: int, total: int, agreement: str) -> None:
        """How many points are answered, and how far the reviewers agree."""
        self.progress.setMaximum(total)
        self.progress.setValue(done)
        self.progress.setFormat(tr("{} of {} answered").format(done, total))
        self.agreement.setText(agreement)
        self.agreement.setVisible(bool(agreement))

def _swatch(color: QColor) -> QIcon:
    pixmap = QPixmap(ICON_SIDE, ICON_SIDE)
    pixmap.fill(color)
    return QIcon(pixmap)
