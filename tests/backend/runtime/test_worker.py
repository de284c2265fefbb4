# SPDX-License-Identifier: GPL-2.0-or-later
"""The worker, in this process with a stage of the test's, and as a process of its own."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from deep_learning_toolbox.backend import __version__
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.runtime import launch, stages, worker
from deep_learning_toolbox.backend.runtime.protocol import info, progress, result

REPOSITORY = Path(launch.__file__).parents[2]


@dataclass(frozen=True)
class Settings:
    raster: str
    output: str = "out"
    bands: list[int] = field(default_factory=list)


@pytest.fixture
def run(monkeypatch, job_folder, make_request):
    """Runs a stage in this process; returns the exit code and the events."""
    monkeypatch.chdir(job_folder)

    def run_it(stage, request=None, cancel_at_start=False):
        class FakeStage:
            load_settings = staticmethod(lambda: Settings)
            load_function = staticmethod(lambda: stage)

        monkeypatch.setitem(stages.STAGES, "fake", FakeStage)
        file = job_folder / "request.json"
        (request or make_request(raster="a.tif")).write(file)
        if cancel_at_start:
            (job_folder / "cancel").touch()
        stream = io.StringIO()
        writer = worker.EventWriter(stream)
        code = worker.run_request(file, writer, worker.StopSignal(job_folder / "cancel", writer))
        return code, [json.loads(line) for line in stream.getvalue().splitlines()]

    return run_it


def test_the_settings_reach_the_stage_and_the_result_comes_last(run, make_request):
    def stage(settings, job_id):
        yield result({"RASTER": settings.raster, "BANDS": settings.bands, "JOB": job_id})
        yield info("after the result")

    code, events = run(stage, make_request(raster="x.tif", bands=[3, 1]))
    assert code == 0
    assert [event["event"] for event in events] == ["started", "info", "result"]
    assert events[0] == {"event": "started", "schema": 1, "version": __version__, "stage": "fake"}
    assert events[-1]["outputs"] == {"RASTER": "x.tif", "BANDS": [3, 1], "JOB": "1a2b"}


def test_a_failing_clean_up_after_the_result_is_a_failure(run):
    def stage(settings, job_id):
        yield result({})
        raise ToolboxError("The output cannot be moved.")

    code, events = run(stage)
    assert (code, events[-1]) == (1, {"event": "error", "message": "The output cannot be moved.", "unexpected": False})


def test_relative_paths_count_from_the_request(run, job_folder, monkeypatch, tmp_path):
    (job_folder / "a.tif").write_text("pixels")
    monkeypatch.chdir(tmp_path)

    def stage(settings, job_id):
        yield result({"TEXT": Path(settings.raster).read_text()})

    assert run(stage)[1][-1]["outputs"] == {"TEXT": "pixels"}


def test_cancel_closes_the_stage_at_its_next_event(run, job_folder):
    seen = []

    def stage(settings, job_id):
        try:
            yield progress(0.1)
            (job_folder / "cancel").touch()
            yield progress(0.2)
            seen.append("went on")
        finally:
            seen.append("cleaned up")

    code, events = run(stage)
    assert (code, events[-1], seen) == (0, {"event": "cancelled"}, ["cleaned up"])


def test_cancel_before_the_start_runs_nothing(run):
    def stage(settings, job_id):
        raise AssertionError("the stage was started")
        yield

    code, events = run(stage, cancel_at_start=True)
    assert (code, [event["event"] for event in events]) == (0, ["started", "cancelled"])


def test_an_interrupt_from_the_keyboard_cancels(run):
    def stage(settings, job_id):
        yield progress(0.1)
        raise KeyboardInterrupt

    assert run(stage)[1][-1] == {"event": "cancelled"}


def test_a_stage_without_a_result_is_a_defect(run):
    def stage(settings, job_id):
        yield progress(1)

    code, events = run(stage)
    assert code == 1
    assert events[-1]["unexpected"] is True
    assert "“fake” ended without a result" in events[-1]["message"]


def test_unknown_and_missing_settings_are_named(run, make_request):
    code, events = run(None, make_request(colour="red", size=3))
    assert code == 1
    assert "(unknown: colour, size; missing: raster)" in events[-1]["message"]


def test_an_unknown_stage_is_refused_with_those_there_are(run, make_request):
    _, events = run(None, make_request(stage="paint"))
    assert events[-1]["message"].startswith(
        f"The request asks for the stage “paint”; this version knows {', '.join(stages.STAGES)}"
    )


def test_a_request_of_another_version_runs_with_a_warning(run, make_request):
    def stage(settings, job_id):
        yield result({})

    _, events = run(stage, make_request(raster="a", version="0.0.1"))
    assert [event["event"] for event in events] == ["started", "warning", "result"]
    assert "0.0.1" in events[1]["message"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 99}', '{"schema": 1, "stage": "fake"}'])
def test_a_broken_request_is_an_error_that_names_the_file(job_folder, monkeypatch, text):
    monkeypatch.chdir(job_folder)
    file = job_folder / "request.json"
    file.write_text(text)
    stream = io.StringIO()
    writer = worker.EventWriter(stream)
    assert worker.run_request(file, writer, worker.StopSignal(job_folder / "cancel", writer)) == 1
    first, last = map(json.loads, stream.getvalue().splitlines())
    assert first["event"] == "started"
    assert str(file) in last["message"]


def test_numbers_of_numpy_and_paths_travel_as_json(run):
    numpy = pytest.importorskip("numpy")

    def stage(settings, job_id):
        yield result({"A": numpy.float32(0.5), "B": numpy.int64(3), "C": Path("x")})

    assert run(stage)[1][-1]["outputs"] == {"A": 0.5, "B": 3, "C": "x"}


def test_a_reader_that_goes_away_cancels(job_folder):
    class Broken(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    writer = worker.EventWriter(Broken())
    stop = worker.StopSignal(job_folder / "cancel", writer)
    assert not stop.is_set()
    writer.send(info("lost"))
    assert stop.is_set()


HANGING = """
def stage(settings, job_id):
    try:
        while True:
            time.sleep(0.05)
            yield progress(0.1)
    finally:
        sys.stderr.write("cleaned up\\n")
"""


def start(script, request_file, *options, **streams):
    command = [sys.executable, str(script), str(request_file), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **streams)


@pytest.fixture
def hanging(use_script, stage_script, make_request, job_folder):
    make_request().write(job_folder / "request.json")
    return use_script(stage_script(HANGING), prelude=""), job_folder / "request.json"


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_cancels_on_a_server(hanging, number):
    # A shell starts background jobs, such as a whole test run, with the interrupt ignored.
    process = start(*hanging, stdin=subprocess.DEVNULL, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    assert json.loads(process.stdout.readline())["event"] == "started"
    assert json.loads(process.stdout.readline())["event"] == "progress"  # stdin is empty, and the job runs all the same
    process.send_signal(number)
    out, log = process.communicate(timeout=300)
    assert json.loads(out.splitlines()[-1]) == {"event": "cancelled"}
    assert (process.returncode, b"cleaned up" in log) == (0, True)


def test_the_end_of_the_standard_input_cancels_when_watched(hanging):
    process = start(*hanging, "--watch-stdin", stdin=subprocess.PIPE)
    assert [json.loads(process.stdout.readline())["event"] for _ in range(2)] == ["started", "progress"]
    out, log = process.communicate(timeout=300)  # closes the input
    assert json.loads(out.splitlines()[-1]) == {"event": "cancelled"}
    assert b"cleaned up" in log


@pytest.mark.parametrize("name", ["deep_learning_toolbox", "my clone ä"])
def test_the_launcher_works_from_a_link_and_under_any_name(tmp_path, make_request, job_folder, name):
    plugin = tmp_path / "plügins" / name
    plugin.parent.mkdir()
    plugin.symlink_to(REPOSITORY, target_is_directory=True)
    make_request(stage="paint").write(job_folder / "request.json")
    launcher = plugin / "backend" / "runtime" / "launch.py"
    process = subprocess.run(
        [sys.executable, "-I", str(launcher), str(job_folder / "request.json")],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        cwd="/",
    )
    first, last = map(json.loads, process.stdout.splitlines())
    assert (first["event"], first["version"]) == ("started", __version__)
    assert "“paint”" in last["message"]
    assert process.returncode == 1


def test_the_module_runs_a_request_on_a_server(make_request, job_folder, tmp_path):
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "deep_learning_toolbox").symlink_to(REPOSITORY, target_is_directory=True)
    make_request(stage="paint").write(job_folder / "request.json")
    process = subprocess.run(
        [sys.executable, "-m", "deep_learning_toolbox.backend", "request.json"],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        cwd=job_folder,
        env={**os.environ, "PYTHONPATH": str(plugins)},
    )
    assert [json.loads(line)["event"] for line in process.stdout.splitlines()] == ["started", "error"]


def test_client_and_worker_import_nothing_heavy():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import deep_learning_toolbox.backend.runtime.client, "
        "deep_learning_toolbox.backend.runtime.worker; "
        "print(sorted(set(sys.modules) & {'torch', 'numpy', 'rasterio', 'qgis', 'timm'}))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code, str(REPOSITORY.parent)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
