"""How one of our modules is started as a process of its own, inside of Slicer and elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path


def python_command(module: str, *arguments: str) -> list[str]:
    """Slicer's Python inside of Slicer, else the Python that runs this, with a module of ours.

    Args:
        module: As it is imported, for example ``SegAnyPETLib.worker``.
        arguments: For the module.
    """
    return [python_program(), "-P", "-m", module, *arguments]  # -P: nothing is imported from the current folder


def python_program() -> str:
    """Slicer's Python inside of Slicer, else the Python that runs this."""
    return shutil.which("PythonSlicer") or sys.executable  # inside of Slicer sys.executable may be Slicer itself


def python_environment() -> dict[str, str]:
    """This process's environment variables, with our library where Python looks for modules."""
    library = Path(__file__).resolve().parents[2]
    paths = [str(library), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def no_console() -> int:
    """Creation flags for `subprocess`: Windows would open a console. 0 elsewhere."""
    return int(getattr(subprocess, "CREATE_NO_WINDOW", 0))
