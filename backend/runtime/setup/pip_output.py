# SPDX-License-Identifier: GPL-2.0-or-later
"""What pip's output means: how far an installation is, and why it failed. Standard library only."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Callable

MB = 10**6
_UNITS = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "bytes": 1}
_DOWNLOAD = re.compile(r"\s*(Downloading|Using cached|Resuming download) (\S+) \(([\d.]+)(?:/[\d.]+)? ?(\w+)\)")
_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")
_INSTALLING = "Installing collected packages: "
_MOST_WORDS = 200  # letters of pip's own reason

_DAMAGED = ("do not match the hashes", "bad magic number for", "badzipfile", "not a zip file", "not a valid wheel", "is invalid")
# Part of pip's output in lower case → what it means and what to do. The first that is found counts, so causes come before symptoms.
_REASONS = (
    (
        ("ssl module is not available", "ssl module in python is not available"),
        "the Python that this builds on has no ssl; name another Python (3.10 to 3.14) to build on",
    ),
    (
        ("certificate_verify_failed", "certificate verify failed", "sslerror"),
        "the server's certificate is not trusted, as when a company inspects connections; add your organisation's certificate in QGIS "
        "(Settings → Options → Authentication → Manage Certificates), or install from a folder of wheels",
    ),
    (
        ("proxyerror", "407 proxy", "cannot connect to proxy", "tunnel connection failed"),
        "the proxy refuses the connection; check Settings → Options → Network, or install from a folder of wheels",
    ),
    (
        ("no space left on device", "errno 28", "winerror 112", "not enough space", "disk quota exceeded"),
        "the disk is full; free some space, or choose another folder",
    ),
    (
        _DAMAGED,
        "a downloaded file is damaged; try again, it is fetched anew",
    ),
    (
        ("permission denied", "access is denied", "winerror 5]", "winerror 32]", "errno 13"),
        "a file cannot be written; choose another folder, and close programs (such as virus scanners) that use it",
    ),
    (
        ("failed to establish a new connection", "name or service not known", "failure in name resolution", "getaddrinfo failed",
         "network is unreachable", "connection refused", "newconnectionerror", "nameresolutionerror"),
        "the package index cannot be reached; check the network and QGIS's proxy (Settings → Options → Network), or install from a "
        "folder of wheels",
    ),
    (
        ("timed out", "connection broken", "incompleteread", "connection aborted", "connection reset", "remote end closed",
         "incomplete-download", "protocolerror"),
        "the connection broke off or is too slow; try again, finished downloads are kept",
    ),
    (("memoryerror", "cannot allocate memory"), "the memory ran out; close other programs and try again"),
)


class PipProgress:
    """Follows one call of pip that is to download about as many bytes as ``expected``.

    Attributes:
        name: The file that is downloading, the library's name and version; empty when none is.
        unpacking: Names of the packages that are being installed, once all are there.
    """

    def __init__(self, expected: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = ""
        self.unpacking: list[str] = []
        self._expected = max(expected, 1)
        self._clock = clock
        self._finished = 0  # bytes of files that are there
        self._current = 0  # bytes of the file that is coming
        self._size = 0
        self._cached = 0  # bytes that needed no network
        self._start: float | None = None

    def read(self, line: str) -> None:
        """Takes in a line of pip's output."""
        progress = _PROGRESS.match(line)
        if progress:
            self._current, self._size = int(progress[1]), int(progress[2])
            return
        download = _DOWNLOAD.match(line)
        if download:
            self._finish_file()
            if self._start is None:
                self._start = self._clock()
            self.name = "-".join(download[2].rpartition("/")[2].split("-")[:2])
            self._size = int(float(download[3]) * _UNITS.get(download[4], 1))
            if download[1] == "Using cached":
                self._cached += self._size
        elif line.startswith(_INSTALLING):
            self._finish_file()
            self.unpacking = [name.strip() for name in line[len(_INSTALLING) :].split(",")]

    @property
    def downloaded(self) -> int:
        """Bytes so far, those kept from an earlier attempt included."""
        return self._finished + self._current

    @property
    def fraction(self) -> float:
        """Share of the expected bytes, 0 to 1."""
        return 1.0 if self.unpacking else min(self.downloaded / self._expected, 0.99)

    def describe(self) -> str:
        """The numbers that run, e.g. ``412 of about 3000 MB, 12.0 MB/s, about 4 min left``."""
        if self._start is None or self.unpacking:
            return ""
        seconds = self._clock() - self._start
        fresh = self.downloaded - self._cached
        if self.downloaded > self._expected or seconds < 2 or fresh <= 0:
            return f"{self.downloaded / MB:.0f} MB"
        speed = fresh / seconds
        left = describe_seconds((self._expected - self.downloaded) / speed)
        return f"{self.downloaded / MB:.0f} of about {self._expected / MB:.0f} MB, {speed / MB:.1f} MB/s, {left} left"

    def _finish_file(self) -> None:
        self._finished += max(self._size, self._current)
        self._current = self._size = 0
        self.name = ""


def describe_seconds(seconds: float) -> str:
    """A time in words, rounded as one would say it."""
    if seconds < 90:
        return f"about {max(5, 5 * round(seconds / 5))} s"
    return f"about {round(seconds / 60)} min"


def has_damaged_download(lines: Sequence[str]) -> bool:
    """Whether a file that pip fetched is not what it should be; pip would take it from its cache again."""
    text = "\n".join(lines).lower()
    return any(sign in text for sign in _DAMAGED)


def explain_failure(lines: Sequence[str], offline: bool) -> str:
    """Why pip failed and what to do next, without a full stop.

    Args:
        lines: Its output.
        offline: It was to take everything from a folder of wheels.
    """
    text = "\n".join(lines).lower()
    own = [line for line in lines if line.startswith("ERROR:")]
    said = (own[-1] if own else next((line for line in reversed(lines) if line.strip()), "no reason given")).removeprefix("ERROR:")
    said = said.strip()[:_MOST_WORDS]
    missing = re.search(r"no matching distribution found for ([^\s;]+)", text)
    if missing and offline:
        return f"the folder of wheels has no {missing[1]} for this Python; make the folder anew on a computer with a network"
    if offline and has_damaged_download(lines):
        return f"a file in the folder of wheels is damaged; copy the folder again ({said})"
    for signs, meaning in _REASONS:
        if any(sign in text for sign in signs):
            return f"{meaning} ({said})"
    if missing:
        return f"the package index has no {missing[1]} for this Python and system ({said}); name another Python (3.10 to 3.14)"
    return f"{said}; see the log"
