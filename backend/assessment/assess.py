# SPDX-License-Identifier: GPL-2.0-or-later
"""The stage ``assess``: a class raster beside the truth, and perhaps beside a second map. Runs in the worker.

Enters: a map, and reference points, polygons or a reference raster. Steps: find the map's classes, compare strip by strip, compute the
figures (`conclude`), write table, report and error layer. Leaves: those files, and the main figures as outputs. Memory: strips of
all rasters, and the features of the reference.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError

from ..errors import ToolboxError
from ..labels.vector_file import LAYER
from ..runtime.disk import checked_writing
from ..runtime.output_files import OutputFiles
from ..runtime.protocol import Event, info, progress, result, warning
from .area_reference import AreaReference, BurnedReference
from .classes import ReferenceClasses, ShownClass, match_classes, read_legend
from .conclude import Findings, conclude
from .draw import ClassCounter
from .error_layer import write_errors
from .maps import ClassMap, ClassReader, open_on_grid, read_strips, strip_windows
from .point_reference import PointReference
from .regions import RegionCollector
from .report import render_report
from .result import Assessment
from .settings import AssessSettings
from .table import write_table
from .ticker import Ticker

READ_SHARE, GATHER_SHARE = 0.4, 0.95  # of the progress bar


@dataclass
class Parts:
    """What a run works with.

    Attributes:
        settings: The request.
        classes: The map.
        readers: The map, the second map and the reference raster, as far as there are any.
        population: Pixels of each class of the map; empty when they are counted with the comparison.
        legend: Classes of the map; likewise.
        reference: Gathers the comparison.
        matched: Classes of a vector reference; None for a raster, whose classes are known once it was read.
        regions: Of what is wrong, for areas; None when not asked for.
    """

    settings: AssessSettings
    classes: ClassMap
    readers: list[ClassReader]
    population: dict[int, int]
    legend: dict[int, ShownClass]
    reference: PointReference | AreaReference
    matched: ReferenceClasses | None
    regions: RegionCollector | None


def assess(settings: AssessSettings, job_id: str) -> Iterator[Event]:
    """Assesses the accuracy of a map.

    Args:
        settings: The request.
        job_id: Names the partial folders.

    Yields:
        Events; the result's outputs are OUTPUT, OUTPUT_HTML and OUTPUT_ERRORS (paths, the last two when asked for), the figures
        OVERALL_ACCURACY, OVERALL_MARGIN, KAPPA, QUANTITY_DISAGREEMENT, ALLOCATION_DISAGREEMENT, MEAN_IOU and MEAN_F1, the number
        UNITS, and for two maps MCNEMAR_P and ACCURACY_CHANGE. Figures that are not defined are left out.

    Raises:
        ToolboxError: Nothing can be compared, or input or outputs cannot be used.
    """
    with ExitStack() as stack:
        files = stack.enter_context(OutputFiles([settings.errors, settings.report, settings.output], job_id))
        parts = yield from _prepare(settings, stack)
        yield from _gather(parts)
        findings = _find(parts)
        assessment = conclude(findings)
        for text in assessment.notes:
            yield warning(text)
        yield from _summarise(assessment)
        with checked_writing(files.partial(settings.output)):
            write_table(files.partial(settings.output), assessment)
            if settings.report:
                files.partial(settings.report).write_text(render_report(assessment), encoding="utf-8")
            if settings.errors:
                crs = parts.classes.info.crs_wkt
                yield from write_errors(files.partial(settings.errors), findings, assessment.classes, crs, settings.has_georeference)
        yield progress(1.0)
        files.publish()
        yield result(_outputs(settings, assessment))


def _prepare(settings: AssessSettings, stack: ExitStack) -> Generator[Event, None, Parts]:
    """Opens everything; the stack closes it."""
    classes = stack.enter_context(ClassMap(settings.raster, "INPUT"))
    raster = classes.info
    yield info(f"Map: {raster.width} × {raster.height} pixels, {raster.dtype}.")
    readers: list[ClassReader] = [classes]
    for source, role in ((settings.second_raster, "SECOND_MAP"), (settings.reference_raster, "REFERENCE_RASTER")):
        if source:
            readers.append(stack.enter_context(open_on_grid(source, role, raster)))
    regions = RegionCollector(raster.transform) if settings.errors else None
    if settings.reference is None and len(readers) == 2 and regions is None:
        # One pass suffices: what the map's classes decide can be decided afterwards.
        return Parts(settings, classes, readers, {}, {}, AreaReference(raster, None, False, True, None), None, None)
    population = yield from _count(classes)
    legend = read_legend(settings.raster, population)
    is_zero_class, has_second = _is_zero_class(settings, legend), bool(settings.second_raster)
    if settings.reference is None:
        area = AreaReference(raster, None, has_second, is_zero_class, regions)
        return Parts(settings, classes, readers, population, legend, area, None, regions)
    path = Path(settings.reference)
    matched = match_classes(settings.reference_classes if settings.has_class_field else _only_class(legend), legend)
    if _are_points(path):
        ignored = frozenset() if is_zero_class else frozenset((0,))
        points = PointReference(path, raster, matched.values, ignored, len(readers), settings.unanswered_strata)
        return Parts(settings, classes, readers, population, legend, points, matched, None)
    burned = BurnedReference(path, raster, matched.values, settings.unlabelled == "background")
    area = AreaReference(raster, burned, has_second, is_zero_class, regions)
    return Parts(settings, classes, readers, population, legend, area, matched, regions)


def _is_zero_class(settings: AssessSettings, legend: Mapping[int, ShownClass]) -> bool:
    """Whether the value 0 of the reference counts."""
    return settings.unlabelled == "background" or (settings.unlabelled == "auto" and 0 in legend)


def _only_class(legend: Mapping[int, ShownClass]) -> list[dict[str, Any]]:
    """The entry of a reference that does not tell classes: the map's only one; raises ToolboxError when it has several."""
    classes = [entry for value, entry in legend.items() if value != 0]
    if len(classes) != 1:
        raise ToolboxError(
            f"The map has {len(classes)} classes, but the reference has no field of classes (GrndTruth, Classvalue, Value or "
            "Classname): choose it as CLASS_VALUE_FIELD."
        )
    return [{"code": 1, "value": classes[0].value, "name": classes[0].name}]


def _count(classes: ClassMap) -> Generator[Event, None, dict[int, int]]:
    """Pixels of each class of the map; takes a pass over it."""
    windows = strip_windows(classes.info)
    counter, ticker = ClassCounter(), Ticker(0.0, READ_SHARE, "reading the classes of the map")
    for done, strip in enumerate(read_strips(windows, [classes]), start=1):
        counter.add(strip.values[0])
        yield from ticker.tell(done / len(windows))
    _refuse_empty(counter.sizes)
    return counter.sizes


def _refuse_empty(population: Mapping[int, int]) -> None:
    if not population:
        raise ToolboxError("The map has no pixel with a class; check INPUT and its nodata value.")


def _are_points(path: Path) -> bool:
    """Whether the reference consists of points; raises ToolboxError when it cannot be read."""
    try:
        _, _, geometry, _ = pyogrio.raw.read(path, layer=LAYER, columns=[])
    except (DataSourceError, DataLayerError) as failure:
        raise ToolboxError(f"The reference {path} cannot be read ({failure}); run the tool again.") from failure
    if geometry is None or not len(geometry):
        raise ToolboxError("The reference has no feature with a class on the map; check the layer, its selection and its class field.")
    return bool((shapely.get_dimensions(shapely.from_wkb(geometry, on_invalid="ignore")) == 0).all())


def _gather(parts: Parts) -> Iterator[Event]:
    """Compares all strips."""
    windows = strip_windows(parts.classes.info)
    ticker = Ticker(READ_SHARE, GATHER_SHARE, "comparing map and reference")
    for done, strip in enumerate(read_strips(windows, parts.readers), start=1):
        parts.reference.add(strip)
        yield from ticker.tell(done / len(windows))


def _find(parts: Parts) -> Findings:
    """What was gathered, with the classes of map and reference."""
    settings, matched, raster = parts.settings, parts.matched, parts.classes.info
    population, legend = parts.population, parts.legend
    if not population and isinstance(parts.reference, AreaReference):
        population = parts.reference.pairs.first_totals
        _refuse_empty(population)
        legend = read_legend(settings.raster, population)
        if not _is_zero_class(settings, legend):
            parts.reference.ignore_zero()
    if matched is None:
        entries = _read_other_legend(settings.reference_raster, parts.reference.values())
        listed = [{"code": value, "value": value, "name": entry.name} for value, entry in entries.items()]
        matched = match_classes(listed, legend)
    second = _read_other_legend(settings.second_raster, parts.reference.second_values())
    return Findings(settings, raster, legend, matched, second, population, parts.reference, parts.regions)


def _read_other_legend(source: str | None, values: set[int]) -> dict[int, ShownClass]:
    """Legend of another raster than the map; empty without one."""
    return read_legend(source, values) if source else {}


def _summarise(assessment: Assessment) -> Iterator[Event]:
    """The main figures for the log."""
    figures = assessment.headline
    if assessment.estimates is not None:
        overall = assessment.estimates.overall
        yield info(
            f"Overall accuracy, estimated for the whole map: {_number(overall.value)} ± {_number(overall.margin)} (95 %); of the "
            f"{assessment.counts.total} points themselves: {_number(assessment.counts.overall_accuracy)}."
        )
    else:
        yield info(f"Overall accuracy of {assessment.counts.total:,} {assessment.unit}: {_number(figures.overall_accuracy)}.")
    for place, entry in enumerate(assessment.classes):
        yield info(
            f"  {entry.value}  {entry.name}: user's accuracy {_number(figures.precision[place])}, producer's accuracy "
            f"{_number(figures.recall[place])}, IoU {_number(figures.iou[place])}"
        )


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _outputs(settings: AssessSettings, assessment: Assessment) -> dict[str, object]:
    """The outputs; figures that are not defined are left out, since JSON has no NaN."""
    figures = assessment.headline
    numbers = {
        "OVERALL_ACCURACY": figures.overall_accuracy,
        "OVERALL_MARGIN": assessment.estimates.overall.margin if assessment.estimates else math.nan,
        "KAPPA": figures.kappa,
        "QUANTITY_DISAGREEMENT": figures.quantity_disagreement,
        "ALLOCATION_DISAGREEMENT": figures.allocation_disagreement,
        "MEAN_IOU": figures.mean_iou,
        "MEAN_F1": figures.mean_f1,
        "UNITS": assessment.counts.total,
    }
    if assessment.comparison:
        change = assessment.comparison.difference
        plain = assessment.comparison.second.overall_accuracy - assessment.comparison.first.overall_accuracy
        numbers |= {"MCNEMAR_P": assessment.comparison.test.p_value, "ACCURACY_CHANGE": change.value if change else plain}
    paths = {"OUTPUT": settings.output, "OUTPUT_HTML": settings.report, "OUTPUT_ERRORS": settings.errors}
    return {name: path for name, path in paths.items() if path} | {k: v for k, v in numbers.items() if math.isfinite(v)}
