# SPDX-License-Identifier: GPL-2.0-or-later
"""What is made of pip's output: progress, remaining time, and reasons in words."""

from __future__ import annotations

import pytest
from deep_learning_toolbox.backend.runtime.setup.commands import hide_secrets
from deep_learning_toolbox.backend.runtime.setup.pip_output import PipProgress, describe_seconds, explain_failure, has_damaged_download

# As pip 26.3 prints it.
OUTPUT = """\
Collecting rasterio
  Downloading rasterio-1.4.4-cp311-cp311-manylinux_2_28_x86_64.whl (35.9 MB)
Progress 0 of 35881871
Progress 17940935 of 35881871
Progress 35881871 of 35881871
Collecting affine (from rasterio)
  Downloading affine-3.0.1-py3-none-any.whl (10 kB)
Collecting click
  Using cached click-8.5.1-py3-none-any.whl (126 kB)
Installing collected packages: affine, click, rasterio
"""


@pytest.fixture
def clock():
    now = [100.0]

    def tell():
        return now[0]

    tell.advance = lambda seconds: now.__setitem__(0, now[0] + seconds)
    return tell


def test_a_download_is_followed(clock):
    status = PipProgress(72_000_000, clock)
    lines = OUTPUT.splitlines()
    assert (status.fraction, status.describe()) == (0, "")
    for line in lines[:4]:
        status.read(line)
    clock.advance(10)
    assert status.name == "rasterio-1.4.4"
    assert status.fraction == pytest.approx(17940935 / 72e6)
    assert status.describe() == "18 of about 72 MB, 1.8 MB/s, about 30 s left"
    for line in lines[4:8]:
        status.read(line)
    assert status.downloaded == 35881871  # a small file counts once the next one is there
    for line in lines[8:]:
        status.read(line)
    assert status.downloaded == 35881871 + 10_000 + 126_000
    assert (status.unpacking, status.fraction, status.describe()) == (["affine", "click", "rasterio"], 1, "")


def test_more_than_expected_is_not_more_than_the_whole(clock):
    status = PipProgress(1000, clock)
    status.read("  Downloading big-1-py3-none-any.whl (5.0 MB)")
    status.read("Progress 4000000 of 5000000")
    clock.advance(10)
    assert (status.fraction, status.describe()) == (0.99, "4 MB")


@pytest.mark.parametrize(("seconds", "text"), [(1, "about 5 s"), (62, "about 60 s"), (100, "about 2 min"), (3000, "about 50 min")])
def test_times_are_told_as_one_would_say_them(seconds, text):
    assert describe_seconds(seconds) == text


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"], "the disk is full"),
        (["ERROR: Could not install packages due to an OSError: [WinError 112] There is not enough space"], "the disk is full"),
        (["WARNING: ... SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", "ERROR: No matching"], "certificate"),
        (["WARNING: ... ProxyError('Cannot connect to proxy.', OSError('Tunnel connection failed: 407 Proxy"], "the proxy refuses"),
        (["WARNING: ... Failed to establish a new connection: [Errno -2] Name or service not known"], "cannot be reached"),
        (["WARNING: ... ReadTimeoutError(\"HTTPSConnectionPool(host='x', port=443): Read timed out."], "too slow; try again"),
        (["ERROR: Could not install packages due to an OSError: [WinError 5] Access is denied: 'c10.dll'"], "virus scanners"),
        (["ERROR: No matching distribution found for torch==2.14.1"], "has no torch==2.14.1 for this Python and system"),
        (["Killed"], "Killed; see the log"),
        ([], "no reason given"),
    ],
)
def test_failures_are_told_with_the_next_step(lines, told):
    assert told in explain_failure(lines, offline=False)


def test_damage_is_noticed():
    assert has_damaged_download(["ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE."])
    assert not has_damaged_download(["ERROR: No matching distribution found for torch"])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Looking in indexes: https://anna:geheim@packages.example/simple", "Looking in indexes: https://***@packages.example/simple"),
        ("proxy http://anna:p@ss:w/1@proxy:3128 refuses", "proxy http://***@proxy:3128 refuses"),
        ("proxy anna:geheim@proxy:3128", "proxy ***@proxy:3128"),
        ("http://proxy:8080 and torch==2.14.1", "http://proxy:8080 and torch==2.14.1"),
    ],
)
def test_secrets_in_addresses_are_hidden(text, shown):
    assert hide_secrets(text) == shown
