"""What figures of speed depend on: machine and software, without names of hosts, users or folders."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from SegAnyPETLib.version import __version__

PACKAGES = ("torch", "monai", "numpy", "scipy", "SimpleITK", "openvino")


def describe_machine() -> dict[str, Any]:
    """Processor, its cores as this process may use them, memory and operating system."""
    return {
        "processor": _processor(),
        "cores": _usable_cores(),
        "memory_gb": _memory_gb(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def describe_software() -> dict[str, Any]:
    """Versions of Python, of this library and of what does the computing; None where absent."""
    versions = {name: _version(name) for name in PACKAGES}
    return {"seganypet": __version__, "python": platform.python_version(), **versions}


def peak_memory_mb() -> float | None:
    """Largest memory of this process so far, in MB of 10^6 bytes; None on Windows, which does not tell."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1.0 if sys.platform == "darwin" else 1024.0) / 1e6  # macOS counts bytes, Linux KiB


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        for line in listing.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_gb() -> float | None:
    if not hasattr(os, "sysconf"):
        return None
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
