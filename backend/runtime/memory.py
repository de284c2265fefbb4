# SPDX-License-Identifier: GPL-2.0-or-later
"""How much memory this process uses, and how much the computer has and has left. Standard library only."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_STATM = Path("/proc/self/statm")
_MEMINFO = Path("/proc/meminfo")


def process_memory() -> tuple[float, float]:
    """Bytes of this process in memory now (on macOS: at most so far), and bytes of the computer; 0 where that cannot be told."""
    if sys.platform == "win32":
        return _windows_memory()
    return _posix_memory()


def free_memory() -> float:
    """Bytes of the computer's memory that programs may still take without swapping; 0 where that cannot be told (macOS)."""
    if sys.platform == "win32":
        return _windows_status()[1]
    try:
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return next((1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), 0.0)


def _posix_memory() -> tuple[float, float]:
    page = os.sysconf("SC_PAGE_SIZE")
    total = float(page * os.sysconf("SC_PHYS_PAGES"))
    try:
        return float(_STATM.read_text(encoding="ascii").split()[1]) * page, total
    except OSError:  # macOS has no /proc
        import resource

        return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss), total  # bytes there


def _windows_memory() -> tuple[float, float]:
    import ctypes
    from ctypes import wintypes

    class Counters(ctypes.Structure):
        """PROCESS_MEMORY_COUNTERS."""

        _fields_ = (
            ("cb", wintypes.DWORD),
            ("PageFaultCount", wintypes.DWORD),
            *((name, ctypes.c_size_t) for name in ("PeakWorkingSetSize", "WorkingSetSize", *(f"Other{n}" for n in range(6)))),
        )

    kernel = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined]
    kernel.GetCurrentProcess.restype = wintypes.HANDLE
    counters = Counters(cb=ctypes.sizeof(Counters))
    found = kernel.K32GetProcessMemoryInfo(wintypes.HANDLE(kernel.GetCurrentProcess()), ctypes.byref(counters), counters.cb)
    return float(counters.WorkingSetSize if found else 0), _windows_status()[0]


def _windows_status() -> tuple[float, float]:
    """Bytes of the computer, and those that are free."""
    import ctypes
    from ctypes import wintypes

    class Status(ctypes.Structure):
        """MEMORYSTATUSEX."""

        _fields_ = (
            ("dwLength", wintypes.DWORD),
            ("dwMemoryLoad", wintypes.DWORD),
            *((name, ctypes.c_uint64) for name in ("ullTotalPhys", "ullAvailPhys", *(f"Other{n}" for n in range(5)))),
        )

    status = Status(dwLength=ctypes.sizeof(Status))
    known = ctypes.WinDLL("kernel32").GlobalMemoryStatusEx(ctypes.byref(status))  # type: ignore[attr-defined]
    return (float(status.ullTotalPhys), float(status.ullAvailPhys)) if known else (0.0, 0.0)
