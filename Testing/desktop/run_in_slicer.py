"""Runs the tests of the panel inside the real desktop; what cannot run there skips, and says why.

    Slicer --no-splash --testing --additional-module-paths SegAnyPET --python-script Testing/desktop/run_in_slicer.py

Files, test IDs and options of pytest may follow.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

TESTING = Path(__file__).resolve().parents[1]
HOW_TO_INSTALL = """pytest is not installed in this Slicer. In its Python console type once:

    slicer.packaging.pip_install("pytest")

then run this script again.
"""
SETTINGS = """[pytest]
pythonpath = {desktop}
addopts = --capture=no -ra -p no:cacheprovider -p no:faulthandler -m "not slow and not gpu and not weights"
markers =
    slow
    gpu
    weights
    slicer
    timeout
"""  # not those of pyproject.toml: they need plugins that Slicer has not


def arguments(chosen, folder):
    """What pytest is told.

    Args:
        chosen: What the person asked for; all tests of the panel when empty.
        folder: Where the settings of pytest are written.
    """
    settings = Path(folder) / "pytest.ini"
    settings.write_text(SETTINGS.format(desktop=(TESTING / "desktop").as_posix()), encoding="utf-8")
    # Without the conftest.py of Testing, which needs hypothesis.
    return ["-c", str(settings), "--rootdir", str(TESTING), "--confcutdir", str(TESTING / "panel")] + (
        list(chosen) or [str(TESTING / "panel")]
    )


def main(chosen):
    """Run the tests; gives the exit code."""
    try:
        import pytest
    except ImportError:
        sys.stderr.write(HOW_TO_INSTALL)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        return int(pytest.main(arguments(chosen, folder)))


if __name__ == "__main__":
    import slicer

    code = main(sys.argv[1:])
    if slicer.app.testingEnabled():
        slicer.util.exit(code)
