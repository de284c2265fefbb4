# SPDX-License-Identifier: GPL-2.0-or-later
"""The client with workers that behave well, badly, or not at all."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from deep_learning_toolbox import backend
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.runtime import client
from deep_learning_toolbox.backend.runtime.client import JobCancelled, run_job
from deep_learning_toolbox.backend.runtime.interpreter import Interpreter
from deep_learning_toolbox.backend.runtime.jobs import is_running

pytestmark = pytest.mark.skipif(os.name != "posix", reason="process groups and signals of POSIX")


def never():
    return False


def is_alive(pid):
    """Whether a process runs; a zombie that nobody has collected yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(pid, seconds=2.0):
    deadline = time.monotonic() + seconds
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_alive(pid)


def last_event(job_folder):
    event = json.loads((job_folder / "events.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    del event["time"]
    return event


@pytest.fixture
def run(make_request, this_python, job_folder):
    """Runs a job with the stand-in; returns its outputs and the events that were passed on."""

    def run_it(is_cancelled=never, on_event=None, request=None, interpreter=this_python):
        events = []
        outputs = run_job(request or make_request(), interpreter, job_folder, on_event or events.append, is_cancelled)
        return outputs, events

    return run_it


def test_events_arrive_in_order_and_the_outputs_come_back(use_stage, run, job_folder):
    use_stage("""
def stage(settings, job_id):
    for step in range(settings.steps):
        yield progress(step / settings.steps, f"Schritt {step} – ü")
    yield result({"OUTPUT": settings.output, "JOB": job_id, "FOLDER": Path.cwd()})
""")
    outputs, events = run()
    assert outputs == {"OUTPUT": "out", "JOB": "1a2b", "FOLDER": str(job_folder)}
    assert [event["event"] for event in events] == ["started", "progress", "progress", "progress"]
    assert events[2]["message"] == "Schritt 1 – ü"
    lines = (job_folder / "events.jsonl").read_text(encoding="utf-8").splitlines()
    recorded = [json.loads(line) for line in lines]
    times = [event.pop("time") for event in recorded]
    assert recorded == [*events, {"event": "result", "outputs": outputs}]
    assert times == sorted(times)


def test_what_libraries_print_goes_to_the_log_only(use_stage, run, job_folder):
    use_stage("""
def stage(settings, job_id):
    print("printed by a library")
    os.write(1, b"written by C code\\n")
    subprocess.run(["echo", "written by a child"])
    yield result({})
""")
    outputs, events = run()
    assert (outputs, len(events)) == ({}, 1)
    log = (job_folder / "worker.log").read_text()
    for text in ("printed by a library", "written by C code", "written by a child"):
        assert text in log


def test_the_transcript_can_be_followed_while_the_job_runs(use_script, run, job_folder):
    use_script("greet(); say(event='info', message='x'); say(event='result', outputs={})")
    lengths = []
    run(on_event=lambda event: lengths.append(len((job_folder / "events.jsonl").read_text().splitlines())))
    assert lengths == [1, 2]


def test_a_running_job_is_known_as_such_until_it_ends(use_script, run, job_folder):
    use_script("greet(); say(event='result', outputs={})")
    states = []
    run(on_event=lambda event: states.append(is_running(job_folder)))
    assert (states, is_running(job_folder)) == ([True], False)


def test_a_job_whose_folder_is_removed_can_still_be_cancelled(use_stage, run, job_folder):
    use_stage("""
def stage(settings, job_id):
    while True:
        time.sleep(0.05)
        yield progress(0.1)
""")

    def is_cancelled():
        shutil.rmtree(job_folder)
        return True

    with pytest.raises(JobCancelled):
        run(is_cancelled)
    assert not job_folder.exists()


def test_a_job_that_fails_to_begin_after_it_was_cancelled_is_a_cancelled_one(use_script, run, job_folder):
    use_script("import time; time.sleep(1); say(event='error', message='the folder is gone', unexpected=True)")
    with pytest.raises(JobCancelled):
        run(lambda: True)
    assert last_event(job_folder) == {"event": "cancelled"}


def test_lines_that_are_no_events_go_to_the_log(use_script, run, job_folder):
    use_script("""
greet()
sys.stderr.write("first\\n"); sys.stderr.flush()
for line in (b"garbage", b"\\xff\\xfe", b"[1, 2]", b'{"no": "event"}', b'{"event": 5}', b""):
    sys.stdout.buffer.write(line + b"\\n")
say(event="info", message="fine")
say(event="result", outputs={"A": 1})
""")
    outputs, events = run()
    assert outputs == {"A": 1}
    assert [event["event"] for event in events] == ["started", "info"]
    log = (job_folder / "worker.log").read_bytes()
    assert log == b'first\ngarbage\n\xff\xfe\n[1, 2]\n{"no": "event"}\n{"event": 5}\n\n'


@pytest.mark.parametrize(
    "first",
    [
        {"event": "started", "schema": 1, "version": "0.0.9", "stage": "fake"},
        {"event": "started", "schema": 99, "version": client.__version__, "stage": "fake"},
        {"event": "progress", "fraction": 0.5, "message": ""},
    ],
)
def test_another_version_is_refused_and_ended(use_script, run, job_folder, first):
    use_script(f"say(**{first!r})\nPath('pid').write_text(str(os.getpid()))\ntime.sleep(60)")
    with pytest.raises(ToolboxError, match=r"restart QGIS, and if this remains, .*deeplearning:installbackend"):
        run()
    assert wait_until_gone(int((job_folder / "pid").read_text() or 0))


def test_cancel_ends_a_stage_cleanly(use_stage, run, job_folder, make_request, tmp_path):
    use_stage("""
def stage(settings, job_id):
    part = Path(settings.output, f".partial-{job_id}")
    part.mkdir(parents=True)
    try:
        while True:
            time.sleep(0.05)
            yield progress(0.1)
    finally:
        part.rmdir()
        sys.stderr.write("cleaned up\\n")
""")
    output = tmp_path / "aus gabe ä"
    started = time.monotonic()
    with pytest.raises(JobCancelled):
        run(lambda: time.monotonic() - started > 1, request=make_request(output=str(output)))
    assert time.monotonic() - started < 2.5
    assert "cleaned up" in (job_folder / "worker.log").read_text()
    assert last_event(job_folder) == {"event": "cancelled"}
    assert not output.exists()


def test_cancel_ends_a_worker_that_ignores_it_and_its_children_within_three_seconds(use_script, run, job_folder):
    use_script("""
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "60"])
Path("pids").write_text(f"{os.getpid()} {child.pid}")
greet()
while True:
    time.sleep(0.01)
    say(event="progress", fraction=0.5, message="deaf")
""")
    asked = []

    def is_cancelled():
        if (job_folder / "pids").exists():
            asked.append(time.monotonic())
        return bool(asked)

    with pytest.raises(JobCancelled):
        run(is_cancelled)
    assert time.monotonic() - asked[0] < 3
    assert all(wait_until_gone(int(pid)) for pid in (job_folder / "pids").read_text().split())


def test_a_killed_worker_is_reported_with_its_likely_cause_and_leaves_nothing(use_script, run, make_request, tmp_path, job_folder):
    output, raster = tmp_path / "new", tmp_path / "old" / "map.tif"
    raster.parent.mkdir()
    (raster.parent / "keep.txt").write_text("")
    use_script(f"""
greet()
Path({str(output)!r}, ".partial-1a2b").mkdir(parents=True)
Path({str(raster.parent)!r}, ".partial-1a2b-map.tif").write_text("half")
Path({str(raster.parent)!r}, ".partial-other-map.tif").write_text("of another job")
os.kill(os.getpid(), signal.SIGKILL)
""")
    with pytest.raises(ToolboxError, match=r"killed \(signal 9\), by another program or because the memory ran out") as caught:
        run(request=make_request(output=str(output), confidence=str(raster)))
    assert str(caught.value).endswith(f" Details: {job_folder / 'worker.log'}")
    assert last_event(job_folder)["message"].startswith("The worker process was killed (signal 9)")
    assert not is_running(job_folder)
    assert not output.exists()
    assert sorted(path.name for path in raster.parent.iterdir()) == [".partial-other-map.tif", "keep.txt"]


@pytest.mark.parametrize(
    ("end", "told"),
    [
        ("sys.exit(7)", r"without a result \(exit code 7\)"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", r"crashed \(signal 11\)"),
        ("subprocess.Popen(['sleep', '60']); os._exit(3)", r"without a result \(exit code 3\)"),  # its child holds the pipe
    ],
)
def test_a_worker_that_ends_without_a_word_is_an_error(use_script, run, end, told):
    use_script("greet()\n" + end)
    started = time.monotonic()
    with pytest.raises(ToolboxError, match=told):
        run()
    assert time.monotonic() - started < 5


def test_an_error_event_becomes_an_exception_that_names_the_log(use_stage, run, job_folder):
    use_stage("""
def stage(settings, job_id):
    yield warning("careful")
    raise ToolboxError("The raster is rotated: warp it first.")
""")
    with pytest.raises(ToolboxError) as caught:
        run()
    assert str(caught.value) == f"The raster is rotated: warp it first. Details: {job_folder / 'worker.log'}"
    assert "Traceback" in (job_folder / "worker.log").read_text()


def test_an_exception_in_the_listener_ends_the_worker(use_script, run, job_folder):
    use_script("Path('pid').write_text(str(os.getpid()))\ngreet()\ntime.sleep(60)")

    def fail(event):
        raise KeyError("a defect of the listener")

    with pytest.raises(KeyError, match="a defect"):
        run(on_event=fail)
    assert wait_until_gone(int((job_folder / "pid").read_text()))


def test_an_interpreter_that_cannot_be_started_is_an_error(run, tmp_path):
    with pytest.raises(ToolboxError, match=r"cannot be started .*deeplearning:installbackend"):
        run(interpreter=Interpreter(tmp_path / "no python", "the tests"))


def test_the_request_is_kept_beside_the_log(use_script, run, job_folder, make_request):
    use_script("greet(); say(event='result', outputs={})")
    run(request=make_request(output="ü"))
    request = json.loads((job_folder / "request.json").read_text(encoding="utf-8"))
    assert (request["stage"], request["settings"], request["job_id"]) == ("fake", {"output": "ü"}, "1a2b")


def test_the_worker_sees_a_clean_environment(use_script, run, monkeypatch):
    monkeypatch.setenv("PYTHONHOME", "")
    monkeypatch.setenv("GDAL_DATA", "/of/qgis")
    use_script("greet(); say(event='result', outputs=dict(os.environ))")
    outputs, _ = run()
    assert not {"PYTHONHOME", "GDAL_DATA", "PYTHONPATH"} & set(outputs)
    assert outputs["HF_HUB_OFFLINE"] == "1"


def test_a_worker_and_its_children_die_with_a_killed_client(use_stage, job_folder, tmp_path):
    # The client is a process of its own here, and is killed while the stage hangs in a call that yields nothing.
    stage = use_stage("""
def stage(settings, job_id):
    child = subprocess.Popen(["sleep", "60"])
    Path("pids").write_text(f"{os.getpid()} {child.pid}")
    time.sleep(60)
    yield result({})
""")
    plugins = str(Path(backend.__file__).parents[2])
    host = tmp_path / "host.py"
    host.write_text(f"""
import sys
from pathlib import Path
sys.path.insert(0, {plugins!r})
from deep_learning_toolbox.backend.runtime import client
from deep_learning_toolbox.backend.runtime.interpreter import Interpreter
from deep_learning_toolbox.backend.runtime.protocol import Request
client.launch_command = lambda python, request: [str(python), {str(stage)!r}, str(request), "--watch-stdin"]
request = Request("fake", {{}}, "x", client.__version__)
client.run_job(request, Interpreter(Path(sys.executable), ""), Path({str(job_folder)!r}), lambda event: None, lambda: False)
""")
    process = subprocess.Popen([sys.executable, str(host)])
    pids = job_folder / "pids"
    deadline = time.monotonic() + 300
    while not (pids.exists() and len(pids.read_text().split()) == 2) and time.monotonic() < deadline:
        time.sleep(0.05)
    worker, child = map(int, pids.read_text().split())
    assert is_alive(worker)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert wait_until_gone(worker, 4)
    assert wait_until_gone(child, 4)
