# SPDX-License-Identifier: GPL-2.0-or-later
"""The dock of the training monitor: what it shows and which buttons it has. It reads no files but pictures, and starts nothing."""

from __future__ import annotations

import html
import math

from qgis.gui import QgsCollapsibleGroupBox, QgsDockWidget
from qgis.PyQt.QtCore import QCoreApplication, Qt, pyqtSignal
from qgis.PyQt.QtGui import QPixmap
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from ..backend.runtime.remaining import describe_seconds
from .curve_plot import CurvePlot
from .picture import Picture
from .training_run import Samples, State, TrainingRun

STEPS = 1000  # of the progress bar
MEGABYTES = 1024  # in a gigabyte
WIDTH = 430  # pixels that the dock has at first


def tr(text: str) -> str:
    """The text in QGIS's language."""
    return QCoreApplication.translate("DeepLearningToolbox", text)


class TrainingDock(QgsDockWidget):
    """Shows one training.

    Signals:
        run_chosen: Number of the training chosen in the list.
        stop_clicked: The training is to end and keep the best epoch.
        cancel_clicked: It is to end and leave nothing.
        report_clicked: The report of the finished training is to be opened.
        opens_changed: Whether the monitor opens when a training starts.
    """

    run_chosen = pyqtSignal(int)
    stop_clicked = pyqtSignal()
    cancel_clicked = pyqtSignal()
    report_clicked = pyqtSignal()
    opens_changed = pyqtSignal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(tr("Training monitor"), parent)
        self.setObjectName("DeepLearningToolboxTraining")  # QGIS restores its place by this name
        self._samples: list[Samples] = []
        self._shown_sample: tuple[str, int] | None = None
        body = QWidget()
        layout = QVBoxLayout(body)
        self.runs = QComboBox()
        self.runs.setToolTip(tr("Trainings of this computer, the newest first"))
        self.runs.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.runs.setMinimumContentsLength(20)
        self.runs.activated.connect(self.run_chosen)
        layout.addWidget(self.runs)
        self._add_state(layout)
        self.losses = CurvePlot(tr("Loss (lower is better)"))
        self.figures = CurvePlot(tr("Accuracy on held-out labels"))
        layout.addWidget(self.losses, 1)
        layout.addWidget(self.figures, 1)
        layout.addWidget(self._make_samples())
        self.log_group = QgsCollapsibleGroupBox(tr("Messages"))
        self.log = QPlainTextEdit()
        self.log.setReadOnly(True)
        self.log.setMaximumHeight(140)
        QVBoxLayout(self.log_group).addWidget(self.log)
        self.log_group.setCollapsed(True)
        layout.addWidget(self.log_group)
        self.opens = QCheckBox(tr("Open this monitor when a training starts"))
        self.opens.toggled.connect(self.opens_changed)
        layout.addWidget(self.opens)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(body)
        self.setWidget(area)
        self.show_nothing()

    def _add_state(self, layout: QVBoxLayout) -> None:
        self.headline = QLabel()
        self.headline.setWordWrap(True)
        self.progress = QProgressBar()
        self.progress.setMaximum(STEPS)
        self.details = QLabel()
        self.details.setWordWrap(True)
        self.details.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        buttons = QHBoxLayout()
        self.stop = QPushButton(tr("Stop and keep the best"))
        self.stop.setToolTip(tr("Ends after the present step and writes the model of the best epoch so far."))
        self.stop.clicked.connect(self.stop_clicked)
        self.cancel = QPushButton(tr("Cancel"))
        self.cancel.setToolTip(tr("Ends at once; no model is written."))
        self.cancel.clicked.connect(self.cancel_clicked)
        self.report = QPushButton(tr("Open report"))
        self.report.clicked.connect(self.report_clicked)
        for button in (self.stop, self.cancel, self.report):
            buttons.addWidget(button)
        for part in (self.headline, self.progress, self.details):
            layout.addWidget(part)
        layout.addLayout(buttons)

    def _make_samples(self) -> QWidget:
        self.gallery = QWidget()
        layout = QVBoxLayout(self.gallery)
        layout.setContentsMargins(0, 0, 0, 0)
        self.sample_title = QLabel()
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setToolTip(tr("Earlier epochs"))
        self.slider.valueChanged.connect(self._show_sample)
        self.legend = QLabel()
        self.legend.setWordWrap(True)
        self.pictures = QVBoxLayout()
        for part in (self.sample_title, self.slider, self.legend):
            layout.addWidget(part)
        layout.addLayout(self.pictures)
        return self.gallery

    def show_runs(self, names: list[str], chosen: int) -> None:
        """Fills the list of trainings."""
        self.runs.clear()
        self.runs.addItems(names)
        self.runs.setCurrentIndex(chosen)
        self.runs.setEnabled(bool(names))

    def show_nothing(self) -> None:
        """There is no training to show."""
        self._say(tr("No training yet"), tr("Start “Train deep learning model”; its progress then shows here."))
        self._show_buttons(False, False)
        self.progress.setVisible(False)
        for part in (self.losses, self.figures, self.gallery, self.log_group):
            part.setVisible(False)

    def show_run(self, run: TrainingRun, now: float, is_stopping: bool) -> None:
        """Shows a training as it is at a time (seconds since 1970)."""
        running = run.state in (State.STARTING, State.RUNNING)
        self._say(_headline(run, is_stopping), "\n".join(_details(run, now)))
        self._show_buttons(running and not is_stopping, bool(run.outputs.get("OUTPUT_HTML")))
        self.cancel.setEnabled(running)
        self.progress.setVisible(running)
        self.progress.setValue(round(STEPS * run.fraction))
        for plot, is_loss in ((self.losses, True), (self.figures, False)):
            curves = _curves(run, is_loss)
            plot.setVisible(bool(curves))
            plot.show_curves(curves, run.best_epoch)
        self._take_samples(run)
        text = "\n".join(run.log)
        self.log_group.setVisible(bool(text))
        if text != self.log.toPlainText():
            self.log.setPlainText(text)

    def _say(self, headline: str, details: str) -> None:
        self.headline.setText(f"<b>{html.escape(headline)}</b>")
        self.details.setText(details)

    def _show_buttons(self, can_stop: bool, has_report: bool) -> None:
        self.stop.setEnabled(can_stop)
        self.cancel.setEnabled(can_stop)
        self.report.setVisible(has_report)
        for button in (self.stop, self.cancel):
            button.setVisible(not has_report)

    def _take_samples(self, run: TrainingRun) -> None:
        """Offers the epochs whose pictures are still there; stays at the newest one if that was shown."""
        there = [samples for samples in run.samples if samples.files and samples.files[0].is_file()]
        self.gallery.setVisible(bool(there))
        is_same_run = bool(there) and self._is_shown(there)
        if is_same_run and [entry.epoch for entry in there] == [entry.epoch for entry in self._samples]:
            return
        at_end = not is_same_run or self.slider.value() == self.slider.maximum()
        self._samples = there
        self.slider.blockSignals(True)
        self.slider.setMaximum(max(0, len(there) - 1))
        if at_end:
            self.slider.setValue(self.slider.maximum())
        self.slider.blockSignals(False)
        self.slider.setVisible(len(there) > 1)
        self._show_sample(self.slider.value())

    def _is_shown(self, there: list[Samples]) -> bool:
        return self._shown_sample is not None and self._shown_sample[0] == str(there[0].files[0].parent.parent)

    def _show_sample(self, place: int) -> None:
        """Shows the pictures of one of the epochs."""
        while self.pictures.count():
            self.pictures.takeAt(0).widget().deleteLater()
        if not 0 <= place < len(self._samples):
            self._shown_sample = None
            return
        samples = self._samples[place]
        self._shown_sample = (str(samples.files[0].parent.parent), samples.epoch)
        self.sample_title.setText(tr("Epoch {}: image, label, prediction").format(samples.epoch))
        swatch = '<span style="background-color: {}">&nbsp;&nbsp;&nbsp;</span>&nbsp;{}'
        self.legend.setText(" &nbsp; ".join(swatch.format(html.escape(colour), html.escape(name)) for name, colour in samples.legend))
        for file, caption in zip(samples.files, samples.captions):
            pixmap = QPixmap(str(file))
            label = QLabel(caption) if pixmap.isNull() else Picture(pixmap)  # it may have been removed meanwhile
            label.setToolTip(tr("{} of the held-out pixels are right").format(caption))
            self.pictures.addWidget(label)


def _headline(run: TrainingRun, is_stopping: bool) -> str:
    """The state in a line."""
    best = run.best_epoch
    figure = run.history[best][run.monitor] if best is not None else math.nan
    kept = "" if best is None else tr("best so far: epoch {}, {} {:.3f}").format(best, name_figure(run.monitor), figure)
    if run.state is State.STARTING:
        return tr("Starting …")
    if run.state is State.RUNNING:
        text = tr("Stopping; the best epoch will be kept …") if is_stopping else run.message or tr("Preparing …")
        return f"{text} — {kept}" if kept else text
    if run.state is State.DONE:
        return tr("Finished: epoch {} was kept, {} {:.3f}").format(best or "?", name_figure(run.monitor), figure)
    if run.state is State.FAILED:
        return tr("Failed: {}").format(run.error)
    if run.state is State.CANCELLED:
        return tr("Cancelled; no model was written")
    return tr("Interrupted: it ended without a word, for QGIS or the computer was shut down")


def _details(run: TrainingRun, now: float) -> list[str]:
    """Lines on time, device and memory."""
    lines = []
    if run.started:
        running = run.state is State.RUNNING
        times = [tr("{} so far" if running else "took {}").format(describe_seconds((now if running else run.latest) - run.started))]
        left = run.seconds_left(now)
        if left is not None:
            times.append(tr("at most {} left").format(describe_seconds(left)))
        epochs = f"{len(run.history)} / {run.settings['max_epochs']}" if "max_epochs" in run.settings else str(len(run.history))
        lines.append("; ".join([*times, tr("epochs: {}").format(epochs)]))
    if run.device:
        lines.append(tr("Device: {}").format(run.device))
    if run.memory:
        used, total = (run.memory[name] / MEGABYTES for name in ("used_mb", "total_mb"))
        lines.append(tr("Memory: {:.1f} of {:.1f} GB ({})").format(used, total, run.memory["place"]))
    network = [str(run.settings[name]) for name in ("model_type", "backbone") if run.settings.get(name)]
    if network:
        lines.append(tr("Network: {}").format(", ".join(network)))
    return lines


def _curves(run: TrainingRun, is_loss: bool) -> dict[str, list[tuple[int, float]]]:
    """The losses, or the other figures but the learning rate, by the name shown."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for epoch in sorted(run.history):
        for name, value in run.history[epoch].items():
            if name != "learning_rate" and ("loss" in name) == is_loss:
                curves.setdefault(name_figure(name), []).append((epoch, value))
    return curves


def name_figure(name: str) -> str:
    """A figure's name for people."""
    names = {
        "train_loss": tr("training"),
        "valid_loss": tr("held-out"),
        "miou": tr("mean IoU"),
        "accuracy": tr("accuracy"),
        "f1": tr("mean F1"),
    }
    return names.get(name, name.replace("_", " "))
