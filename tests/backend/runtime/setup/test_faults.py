# SPDX-License-Identifier: GPL-2.0-or-later
"""What can go wrong while installing, with real processes and a real index on the loopback.

After each fault the environment there was still is in use, nothing is left beside it, and the message names the next step.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.runtime import launch
from deep_learning_toolbox.backend.runtime.lock import exclusive
from deep_learning_toolbox.backend.runtime.places import install_log
from deep_learning_toolbox.backend.runtime.setup import environment, installer, marker
from deep_learning_toolbox.backend.runtime.setup.environment import BuildRequest, build_environment
from deep_learning_toolbox.backend.runtime.setup.marker import EnvironmentState, Marker, managed_environment, read_state
from deep_learning_toolbox.backend.runtime.setup.network import Network

from .wheel_maker import make_wheel

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and paths of POSIX")


@pytest.fixture
def old(quick, wheels, small_requirements):
    """An environment in use, made for other requirements than the present ones: that of an older plugin."""
    build_environment(BuildRequest(wheels=wheels))
    make_wheel(wheels, "tinyengine", version="2.0", padding=50_000)
    (small_requirements / "worker.txt").write_text("tinyengine==2.0\n")
    assert read_state() is EnvironmentState.OUTDATED
    return managed_environment()


@pytest.fixture
def check_old_works(old, home):
    """Asserts that the old environment is in use, works and is alone."""

    def check():
        assert managed_environment() == old
        subprocess.run([marker.managed_python(), "-I", "-c", "import tinyengine"], check=True)
        assert [path.name for path in (home / "environments").glob("environment-*")] == [old.name]

    return check


def fails(match, **request):
    with pytest.raises(ToolboxError, match=match) as caught:
        build_environment(BuildRequest(**request))
    return str(caught.value)


def test_an_index_that_cannot_be_reached(old, check_old_works, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    message = fails("the package index cannot be reached; check the network and QGIS's proxy .* or install from a folder of wheels")
    assert "install.log" in message
    check_old_works()


def test_an_index_whose_certificate_is_not_trusted_unless_qgis_knows_it(old, check_old_works, index, monkeypatch):
    for name in ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_RETRIES", "1")
    fails("the server's certificate is not trusted, .* add your organisation's certificate in QGIS")
    check_old_works()
    build_environment(BuildRequest(network=Network(certificates=index.certificates)))
    assert read_state() is EnvironmentState.READY


def test_a_proxy_that_does_not_answer(old, check_old_works, index, monkeypatch):
    monkeypatch.setenv("PIP_RETRIES", "1")
    network = Network(proxy="http://anna:geheim@127.0.0.1:9")
    told = r"through the proxy http://\*\*\*@127\.0\.0\.1:9: the package index cannot be reached; check .*QGIS's proxy"
    message = fails(told, network=network)
    assert "geheim" not in message + install_log().read_text(encoding="utf-8")
    check_old_works()


def test_an_index_that_dies_in_the_middle_and_comes_back(old, check_old_works, index):
    index.fault = "dies"
    fails("the connection broke off or is too slow; try again, finished downloads are kept")
    check_old_works()
    index.fault = ""
    build_environment(BuildRequest())
    assert read_state() is EnvironmentState.READY
    assert not old.exists()


def test_finished_downloads_are_not_fetched_again(quick, index, wheels, small_requirements, home):
    make_wheel(wheels, "tinymore", padding=5000)
    (small_requirements / "worker.txt").write_text("tinymore\ntinyengine==3.0\n")
    make_wheel(wheels, "tinyengine", version="3.0", code="value = 7\n")
    fails("The libraries of .* do not work")
    assert index.asked == ["tinymore-1.0-py3-none-any.whl", "tinyengine-3.0-py3-none-any.whl"]
    installer.PROOF = "print('2.0+cpu')"
    build_environment(BuildRequest())
    assert len(index.asked) == 2
    assert not (home / "environments" / "downloads").exists()


def test_a_corrupted_wheel(old, check_old_works, index):
    index.fault = "corrupt"
    fails("a downloaded file is damaged; try again, it is fetched anew")
    check_old_works()
    index.fault = ""
    build_environment(BuildRequest())
    assert read_state() is EnvironmentState.READY


def test_a_corrupted_file_in_a_folder_of_wheels(old, check_old_works, wheels):
    (wheels / "tinyengine-2.0-py3-none-any.whl").write_bytes(b"PK\x03\x04 no more than that")
    fails("a file in the folder of wheels is damaged; copy the folder again", wheels=wheels)
    check_old_works()


def test_a_folder_that_lacks_a_wheel(old, check_old_works, wheels):
    (wheels / "tinyengine-2.0-py3-none-any.whl").unlink()
    fails("the folder of wheels has no tinyengine==2.0 for this Python; make the folder anew on a computer with", wheels=wheels)
    check_old_works()


def test_libraries_that_do_not_work(old, check_old_works, wheels, monkeypatch):
    monkeypatch.setattr(installer, "PROOF", "raise SystemExit('PyTorch computes wrong sums')")
    fails("The libraries of .* do not work: PyTorch computes wrong sums", wheels=wheels)
    check_old_works()


def test_a_slow_index_can_be_cancelled_at_once(old, check_old_works, index):
    index.fault = "slow"
    asked = []

    class CancelledError(Exception):
        pass

    def cancel(step):
        if index.asked:
            asked.append(time.monotonic())
            if asked[-1] - asked[0] > 1:
                raise CancelledError

    with pytest.raises(CancelledError):
        build_environment(BuildRequest(), cancel)
    assert time.monotonic() - asked[-1] < 2
    assert max(after - before for before, after in itertools.pairwise(asked)) < 0.9  # nothing is silent for longer
    check_old_works()


def test_a_broken_environment_is_built_anew(old, wheels, small_requirements):
    build_environment(BuildRequest(wheels=wheels))
    broken = managed_environment()
    (broken / "bin" / "python").unlink()
    (broken / "bin" / "python").write_text("#!/bin/sh\nexit 3\n")
    (broken / "bin" / "python").chmod(0o755)
    assert "does not run" in environment.find_fault()
    build_environment(BuildRequest(wheels=wheels))
    assert (managed_environment() != broken, environment.find_fault()) == (True, "")


def test_a_failed_extra_leaves_the_environment_as_it_was(quick, wheels):
    build_environment(BuildRequest(wheels=wheels))
    (wheels / "tinytest-1.0-py3-none-any.whl").unlink()
    fails("the folder of wheels has no tinytest", wheels=wheels, extras=["test"])
    assert (read_state(), Marker.read().extras) == (EnvironmentState.READY, {})


def test_a_second_installer_is_told_who_is_at_work(old, check_old_works, wheels, home):
    with exclusive(home / "environment.lock", "testing"):
        message = fails(rf"process \(id {os.getpid()}\) is installing or removing", wheels=wheels)
    assert "wait until it has finished" in message
    check_old_works()


def test_two_installers_at_once_make_one_environment(quick, index, wheels, home):
    index.fault = "slow"
    told = threading.Event()

    def stop_when_told(step):
        if told.is_set():
            raise RuntimeError

    def install():
        with pytest.raises(RuntimeError):
            build_environment(BuildRequest(), stop_when_told)

    first = threading.Thread(target=install)
    first.start()
    deadline = time.monotonic() + 300
    while not index.asked and time.monotonic() < deadline:
        time.sleep(0.05)
    fails("is installing or removing the deep learning libraries: wait", wheels=wheels)
    told.set()
    first.join()
    build_environment(BuildRequest(wheels=wheels))
    assert len(list((home / "environments").glob("environment-*"))) == 1


def test_a_lock_dies_with_its_holder(home):
    code = f"""
import sys, time; sys.path.insert(0, {str(Path(launch.__file__).parents[3])!r})
from pathlib import Path
from deep_learning_toolbox.backend.runtime.lock import exclusive
with exclusive(Path({str(home / "lock")!r}), "testing"):
    print("held", flush=True)
    time.sleep(60)
"""
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(ToolboxError, match=f"id {holder.pid}"), exclusive(home / "lock", "testing"):
        pass
    holder.kill()
    holder.wait()
    with exclusive(home / "lock", "testing"):
        assert (home / "lock").read_text() == str(os.getpid())


INSTALL = """
import os, sys, types
sys.path.insert(0, {plugins!r})
from pathlib import Path
from deep_learning_toolbox.backend.runtime.setup import environment, installer, requirements
from deep_learning_toolbox.backend.runtime.setup.gpu import Graphics
requirements.REQUIREMENTS = Path({requirements!r})
installer.PROOF = "import tinyengine, time; time.sleep(0.3); print('2.0+cpu')"
environment._check_space = lambda parent, build: None
environment.find_graphics = Graphics
environment.REQUIRED_PACKAGES = ("tinyengine",)
def show(step):
    print(step.text, flush=True)
environment.build_environment(environment.BuildRequest(wheels=Path({wheels!r})), show)
print("done", flush=True)
"""


@pytest.mark.parametrize("moment", ["Making", "Updating", "Looking", "Testing", "done"])
def test_killed_at_any_moment(old, wheels, small_requirements, home, moment):
    code = INSTALL.format(plugins=str(Path(launch.__file__).parents[3]), requirements=str(small_requirements), wheels=str(wheels))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True, text=True)
    assert any(line.startswith(moment) for line in process.stdout)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if moment == "done":  # the new one is in use by then
        assert (read_state(), managed_environment() != old) == (EnvironmentState.READY, True)
    else:
        assert (read_state(), managed_environment()) == (EnvironmentState.OUTDATED, old)
    subprocess.run([marker.managed_python(), "-I", "-c", "import tinyengine"], check=True)
    time.sleep(1)  # pip, in a session of its own, may be writing for a moment
    build_environment(BuildRequest(wheels=wheels))
    assert read_state() is EnvironmentState.READY
    environment.remove_environment()
    assert list((home / "environments").glob("*")) == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs root to mount a small disk")
def test_a_full_disk(old, check_old_works, wheels, tmp_path):
    make_wheel(wheels, "tinyengine", version="2.0", padding=40 * 2**20)
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(small)], capture_output=True).returncode:
        pytest.skip("root may not mount here")
    try:
        fails("the disk is full; free some space, or choose another folder", wheels=wheels, folder=small)
        assert list(small.glob("*/environment-*")) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)
    check_old_works()
