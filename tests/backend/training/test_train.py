# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import torch
from deep_learning_toolbox.backend.assessment.confusion import ConfusionMatrix
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.models.package import load_model
from deep_learning_toolbox.backend.models.registry import build_network
from deep_learning_toolbox.backend.runtime.ranks import Ranks
from deep_learning_toolbox.backend.training import loop
from deep_learning_toolbox.backend.training.dataset import ChipStore
from deep_learning_toolbox.backend.training.optimiser import build_optimiser
from deep_learning_toolbox.backend.training.split import split_blocks
from deep_learning_toolbox.backend.training.train import train

FILES = ["ModelCharacteristics/training_validation_loss.json", "Modell ü.dlpk", "checkpoints/best.safetensors",
         "checkpoints/last.safetensors", "model_metrics.html"]  # fmt: skip


def run(settings, job_id="job"):
    """All events and the outputs."""
    events = list(train(settings, job_id))
    assert events[-1]["event"] == "result"
    return events, events[-1]["outputs"]


def list_files(folder):
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


def texts(events, kind):
    return " ".join(event["message"] for event in events if event["event"] == kind)


@pytest.fixture(autouse=True)
def short_epochs(monkeypatch, tmp_path):
    monkeypatch.setattr(loop, "SMALLEST_EPOCH", 6)
    monkeypatch.chdir(tmp_path)


def test_a_run_leaves_exactly_these_files_and_a_model_that_works(settings):
    events, outputs = run(settings(max_epochs=2))
    assert list_files(outputs["OUTPUT"]) == FILES
    assert outputs["MODEL"].endswith("Modell ü.dlpk")
    assert outputs["EPOCHS"] == 2
    metrics = [event["values"] for event in events if event["event"] == "metric"]
    assert outputs["SCORE"] == max(values["miou"] for values in metrics)
    description, network = load_model(outputs["MODEL"])
    assert description.class_values == (3, 8)
    assert [band.name for band in description.bands] == ["red", "nir"]
    assert description.cell_size == (10.0, 10.0)
    assert description.training["miou"] == outputs["SCORE"]
    with torch.inference_mode():
        assert network(torch.zeros(1, 2, 32, 32)).shape == (1, 2, 32, 32)
    curves = json.loads((Path(outputs["OUTPUT"]) / FILES[0]).read_text(encoding="utf-8"))
    assert curves["epoch"] == [1, 2]
    assert curves["train_loss"] == [values["train_loss"] for values in metrics]


def test_the_loss_falls_and_separable_classes_are_found(settings):
    events, outputs = run(settings(max_epochs=6, early_stopping=False))
    losses = [event["values"]["train_loss"] for event in events if event["event"] == "metric"]
    assert losses[-1] < losses[0] / 2
    assert outputs["SCORE"] > 0.8


def test_the_score_is_what_the_packaged_model_reaches_on_the_held_out_labels(settings, chips):
    request = settings(max_epochs=4, refit="never")
    _, outputs = run(request)
    description, network = load_model(outputs["MODEL"])
    store = ChipStore(request)
    list(store.scan())
    store.apply_split(split_blocks(store.census, request.validation_percent, request.seed))
    confusion, values = ConfusionMatrix(description.class_values), np.array([3, 8])
    for number, chip in zip(store.validation_chips, store.get(store.validation_chips, validation=True), strict=True):
        with torch.inference_mode():
            found = network(chip.image[None]).argmax(1)[0]
        known = (chip.target >= 0) & store.find_measured(number)
        confusion.update(values[chip.target[known].numpy()], values[found[known].numpy()])
    assert confusion.mean_iou == pytest.approx(outputs["SCORE"], abs=0.01)


def test_the_same_seed_gives_the_same_model_and_another_one_does_not(settings, tmp_path):
    models = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        _, outputs = run(settings(output=str(tmp_path / name), seed=seed))
        models.append(load_model(outputs["MODEL"])[1].state_dict())
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])
    assert not all(torch.equal(models[0][name], models[2][name]) for name in models[0])


def test_progress_rises_from_reading_to_the_end_and_comes_with_every_step(settings):
    events, _ = run(settings(max_epochs=2, refit="never"))
    fractions = [event["fraction"] for event in events if event["event"] == "progress"]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 0.97
    assert sum("step" in event["message"] for event in events if event["event"] == "progress") == 2 * 7  # 25 chips, 4 a step


@pytest.mark.parametrize("kind", ["device", "progress", "metric"])
def test_a_run_that_is_stopped_leaves_nothing(settings, kind):
    request = settings(max_epochs=3)
    events = train(request, "job")
    while next(events)["event"] != kind:
        pass
    events.close()
    assert not Path(request.output).exists()
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_stop_file_keeps_the_best_so_far(settings, tmp_path):
    events, outputs = [], None
    for event in train(settings(max_epochs=50), "job"):
        events.append(event)
        if event["event"] == "metric":
            (tmp_path / "stop").touch()
        outputs = event.get("outputs")
    assert outputs["EPOCHS"] == 1
    assert list_files(outputs["OUTPUT"]) == FILES
    assert "it was stopped" in texts(events, "info")


def test_early_stopping_ends_a_run_that_does_not_improve(settings, monkeypatch):
    monkeypatch.setattr(loop, "SMALLEST_PATIENCE", 2)
    monkeypatch.setattr(loop, "PATIENCE", 0.0)
    monkeypatch.setattr(loop.Trainer, "_step", lambda self, batch: 1.0)  # nothing is learned
    _, outputs = run(settings(max_epochs=9))
    assert outputs["EPOCHS"] == 3
    _, outputs = run(settings(max_epochs=5, early_stopping=False))
    assert outputs["EPOCHS"] == 5


def test_a_previous_result_is_replaced_and_job_files_are_left(settings):
    _, first = run(settings())
    folder = Path(first["OUTPUT"])
    (folder / "request.json").write_text("{}", encoding="utf-8")
    (folder / "ModelCharacteristics" / "old.png").write_bytes(b"")
    before = Path(first["MODEL"]).read_bytes()
    run(settings(seed=7))
    assert list_files(folder) == sorted([*FILES, "request.json"])
    assert Path(first["MODEL"]).read_bytes() != before


def test_a_cancelled_run_keeps_the_previous_result(settings):
    _, first = run(settings())
    before = Path(first["MODEL"]).read_bytes()
    events = train(settings(seed=7), "other")
    while next(events)["event"] != "metric":
        pass
    events.close()
    assert Path(first["MODEL"]).read_bytes() == before
    assert list_files(first["OUTPUT"]) == FILES


def test_a_folder_with_other_files_is_refused_and_left_alone(settings):
    request = settings()
    Path(request.output).mkdir()
    (Path(request.output) / "thesis.docx").write_bytes(b"x")
    with pytest.raises(ToolboxError, match=r"holds other files \(thesis\.docx\)"):
        list(train(request, "job"))
    assert list_files(request.output) == ["thesis.docx"]


def test_a_place_that_cannot_be_written_is_refused(settings, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ToolboxError, match="is a file"):
        list(train(settings(output=str(tmp_path / "file")), "job"))
    with pytest.raises(ToolboxError, match="cannot be written"):
        list(train(settings(output=str(tmp_path / "file" / "model")), "job"))


def test_a_failure_while_writing_leaves_nothing(settings, monkeypatch):
    def fail(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("deep_learning_toolbox.backend.training.train.write_package", fail)
    request = settings()
    with pytest.raises(OSError, match="Input/output error"):
        list(train(request, "job"))
    assert not Path(request.output).exists()


def test_the_report_is_self_contained_and_escapes_names(settings):
    events, outputs = run(settings(split="random"))
    page = Path(outputs["OUTPUT_HTML"]).read_text(encoding="utf-8")
    assert "Wässer &lt;b&gt;" in page
    assert "<b>" not in page
    assert "optimistic" in page
    assert "<td>UNLABELED</td>\n<td>auto</td>" in page  # under the names of the tool's parameters
    assert "<td>MORE_INPUTS</td>\n<td></td>" in page
    assert "unknown, since the images have no CRS" in page
    assert "optimistic" in texts(events, "warning")
    assert page.count("data:image/png;base64,") == 5 + 4 * page.count('<figure class="strip">')
    assert re.findall(r"(?:src|href)=\"(?!data:)", page) == []
    assert "<script" not in page
    with zipfile.ZipFile(outputs["MODEL"]) as archive:
        assert archive.read("model_metrics.html").decode("utf-8") == page


def test_a_class_with_one_polygon_is_shown_as_not_validated(settings, tmp_path, scene, save_folder):
    image, label, blocks = scene
    label[blocks == 8] = 9
    classes = [{"value": 3, "name": "a"}, {"value": 8, "name": "b"}, {"value": 9, "name": "c"}, {"value": 10, "name": "d"}]
    folder = save_folder(tmp_path / "three", image, label, blocks, classes)
    events, outputs = run(settings(folder=str(folder)))
    assert "Not validated, since all labels are in one block: c." in texts(events, "warning")
    assert "No chip holds a label of d" in texts(events, "warning")
    page = Path(outputs["OUTPUT_HTML"]).read_text(encoding="utf-8")
    assert "not validated" in page
    assert "A single polygon or block is held out of a, b: figures of so few labels are rough." in page
    assert load_model(outputs["MODEL"])[0].training["not_validated"] == ["c"]


def test_labels_in_a_single_block_are_an_error_that_names_split(settings, tmp_path, scene, save_folder):
    image, label, blocks = scene
    label[blocks != 1] = 0
    folder = save_folder(tmp_path / "single", image, label, blocks)
    with pytest.raises(ToolboxError, match="SPLIT"):
        list(train(settings(folder=str(folder)), "job"))


def test_chips_without_labels_are_refused(settings, tmp_path, scene, save_folder):
    image, label, blocks = scene
    folder = save_folder(tmp_path / "empty", image, label * 0, blocks * 0)
    with pytest.raises(ToolboxError, match="No chip holds a labelled pixel"):
        list(train(settings(folder=str(folder)), "job"))


def test_one_class_with_unlabelled_ignored_is_refused(settings, tmp_path, scene, save_folder):
    image, label, blocks = scene
    label = np.where(label == 3, 0, label)
    folder = save_folder(tmp_path / "one class", image, label, blocks * (label > 0), classes=[{"value": 8, "name": "Wald"}])
    with pytest.raises(ToolboxError, match="nothing to tell apart; choose UNLABELED=auto or background"):
        list(train(settings(folder=str(folder), unlabelled="ignore"), "job"))


def test_a_chip_size_above_the_chips_is_refused(settings):
    with pytest.raises(ToolboxError, match="CHIP_SIZE is 64, but the chips have 32 x 32"):
        list(train(settings(chip_size=64), "job"))


@pytest.fixture
def prepare(settings, save_folder, tmp_path):
    """Makes a trainer and its store."""

    def make(**changes):
        request = settings(**changes)
        store = ChipStore(request)
        list(store.scan())
        store.apply_split(split_blocks(store.census, 20, 42))
        network = build_network("linknet", "mobilenetv3_small_100", 2, 2)
        return loop.Trainer(network, store, loop.Plan(request, False, 1e-3, Ranks()), lambda: False), store

    return make


def test_without_augmentation_the_network_sees_whole_chips(prepare):
    for augmentation, equal in (("none", True), ("default", False)):
        trainer, store = prepare(augmentation=augmentation)
        image, *_ = trainer._batches.draw(4)
        chips = [chip.image for chip in store.get(range(len(store)), False)]
        assert all(any(torch.allclose(one, chip, atol=1e-4) for chip in chips) for one in image) == equal


def test_north_up_augmentation_varies_brightness_and_turns_nothing(prepare):
    trainer, store = prepare(augmentation="north_up")
    image, target, *_ = trainer._batches.draw(8)
    chips = store.get(range(len(store)), False)
    for one, label in zip(image, target, strict=True):
        (chip,) = (chip for chip in chips if torch.equal(chip.target.long(), label))
        assert not torch.allclose(one, chip.image, atol=1e-2)
        assert float(torch.corrcoef(torch.stack([one[0].flatten(), chip.image[0].flatten()]))[0, 1]) > 0.9


def test_smaller_crops_are_cut_inside_the_chips_around_a_label(prepare):
    trainer, store = prepare(chip_size=16, augmentation="none")
    image, target, *_ = trainer._batches.draw(4)
    assert image.shape == (4, 2, 16, 16)
    assert bool((target >= 0).flatten(1).any(dim=1).all())
    windows = torch.cat([chip.image.unfold(1, 16, 1).unfold(2, 16, 1).flatten(1, 2).movedim(0, 1) for chip in
                         store.get(range(len(store)), False)])  # fmt: skip
    assert all(any(torch.equal(one, window) for window in windows) for one in image)


def test_batches_never_show_held_out_labels(prepare):
    trainer, store = prepare(augmentation="none")
    known = {chip.target.numpy().tobytes() for chip in store.get(range(len(store)), False)}
    for _ in range(5):
        _, target, *_ = trainer._batches.draw(4)
        assert all(one.numpy().astype(np.int32).tobytes() in known for one in target)


def test_class_balancing_weighs_the_rare_class_more(prepare):
    assert prepare(class_balancing=False)[0].weights.tolist() == [1, 1]
    trainer, store = prepare()
    pixels = store.pixels.sum(axis=0)
    assert (trainer.weights[0] > trainer.weights[1]) == (pixels[0] < pixels[1])
    assert pixels[0] != pixels[1]


def test_the_pretrained_encoder_learns_more_slowly_and_norms_do_not_decay(prepare):
    trainer, _ = prepare()
    groups = build_optimiser(trainer.network, 1e-2, True).param_groups
    assert {(round(group["lr"], 6), group["weight_decay"]) for group in groups} == {(0.003, 0.01), (0.003, 0), (0.01, 0.01), (0.01, 0)}
    assert all(parameter.ndim > 1 for group in groups if group["weight_decay"] for parameter in group["params"])
    assert sum(len(group["params"]) for group in groups) == len(list(trainer.network.parameters()))


def test_memory_that_does_not_suffice_halves_the_batch_down_to_two(settings, monkeypatch):
    step = loop.Trainer._step

    def fail_above_two(self, batch):
        if self.outcome.batch_size > 2:
            raise torch.OutOfMemoryError("no memory")
        return step(self, batch)

    monkeypatch.setattr(loop.Trainer, "_step", fail_above_two)
    events, outputs = run(settings(batch_size=8))
    assert "the batch is now 4" in texts(events, "warning")
    assert load_model(outputs["MODEL"])[0].training["batch_size"] == 2

    def fail(self, batch):
        raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 123 bytes.")  # as on Windows

    monkeypatch.setattr(loop.Trainer, "_step", fail)
    with pytest.raises(ToolboxError, match="choose a smaller CHIP_SIZE"):
        list(train(settings(batch_size=2), "job"))


def test_a_diverging_training_says_what_to_change(settings, monkeypatch):
    monkeypatch.setattr(loop, "segmentation_loss", lambda *_: torch.tensor(float("nan")))
    with pytest.raises(ToolboxError, match="choose a smaller LEARNING_RATE"):
        list(train(settings(), "job"))


def test_the_monitored_figure_decides_the_score(settings, tmp_path):
    for monitor in ("valid_loss", "accuracy", "f1"):
        events, outputs = run(settings(monitor=monitor, max_epochs=2, output=str(tmp_path / monitor)))
        values = [event["values"][monitor] for event in events if event["event"] == "metric"]
        assert outputs["SCORE"] == (min(values) if monitor == "valid_loss" else max(values))


def test_training_goes_on_from_a_model(settings, tmp_path):
    _, first = run(settings(max_epochs=6))
    other = {"model_type": "unet", "backbone": "resnet50", "weights": "imagenet"}
    request = settings(pretrained_model=first["MODEL"], output=str(tmp_path / "second"), **other)
    events, second = run(request)
    description = load_model(second["MODEL"])[0]
    assert (description.architecture, description.backbone) == ("linknet", "mobilenetv3_small_100")
    assert "bands are matched by name; the classes are the same, so the last layer is kept" in texts(events, "info")
    assert "WEIGHTS=imagenet is not used" in texts(events, "warning")
    assert second["SCORE"] > 0.6
    assert "it has seen these places" in Path(second["OUTPUT_HTML"]).read_text(encoding="utf-8")
    assert "it has seen these places" not in Path(first["OUTPUT_HTML"]).read_text(encoding="utf-8")


def test_missing_encoder_weights_are_told(settings):
    events, outputs = run(settings(weights="auto", cache="/none"))
    assert "trained from scratch" in texts(events, "warning")
    assert "trained from scratch" in load_model(outputs["MODEL"])[0].training["weights"]


def test_chips_struck_out_are_told_and_not_trained_on(settings, tmp_path, scene, save_folder):
    folder = save_folder(tmp_path / "chips", *scene)
    footprints = folder / "inspection" / "footprints.gpkg"
    footprints.parent.mkdir()
    struck = [f"images/{number:012d}.tif" for number in (0, 7)]
    fields = [np.array([*struck, "images/gone.tif"], object), np.zeros(3, bool)]
    geometry = np.array([None] * 3, object)
    pyogrio.raw.write(footprints, geometry, fields, ["chip", "use"], geometry_type="Polygon", crs="EPSG:32632", layer="footprints")
    events, outputs = run(settings(folder=str(folder)))
    assert "<td>2 chips</td>" in Path(outputs["OUTPUT_HTML"]).read_text(encoding="utf-8")
    assert f"2 of 25 chips of {folder} are struck out in {footprints}; not used." in texts(events, "info")
    assert "Training on 23 chips" in texts(events, "info")


def test_label_values_that_no_class_has_are_named_with_their_pixels(settings, tmp_path, scene, save_folder):
    image, label, blocks = scene
    strange = label.copy()
    strange[:3, :3] = 77
    events, _ = run(settings(folder=str(save_folder(tmp_path / "strange", image, strange, blocks))))
    assert "its class list lacks: 77 (9 pixels). These pixels are ignored" not in texts(events, "warning")  # they are nodata
    strange[5, 4:9] = 78
    events, _ = run(settings(folder=str(save_folder(tmp_path / "more", image, strange, blocks))))
    assert "its class list lacks: 78 (5 pixels). These pixels are ignored" in texts(events, "warning")
