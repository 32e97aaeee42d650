"""Importing the reading parts costs nothing until a reader is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROBE = """
import sys, SegAnyPETLib.data, SegAnyPETLib.suv
heavy = sorted({"pydicom", "SimpleITK", "highdicom", "torch", "scipy", "numpy"} & set(sys.modules))
assert not heavy, heavy
assert callable(SegAnyPETLib.data.read_pet_series) and callable(SegAnyPETLib.suv.compute_suv)
assert "torch" not in sys.modules
"""


def test_packages_load_their_libraries_on_first_use():
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("part", ["data", "suv"])
def test_unknown_name_is_an_attribute_error(part):
    module = __import__(f"SegAnyPETLib.{part}", fromlist=[part])
    with pytest.raises(AttributeError, match=f"'SegAnyPETLib.{part}' has no attribute 'nothing'"):
        _ = module.nothing
    for name in module.__all__:
        assert getattr(module, name) is not None
