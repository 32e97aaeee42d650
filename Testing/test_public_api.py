"""The names other people's code relies on."""

from __future__ import annotations

import importlib
import inspect
import tomllib
from pathlib import Path

import pytest

import SegAnyPETLib

REPOSITORY = Path(__file__).resolve().parents[1]

# Promised in the README; a name may be added here, never taken away without a new major version.
PROMISED = {
    "Box",
    "InteractiveSession",
    "Point",
    "SeedMask",
    "compute_measures",
    "compute_suv",
    "load_model",
    "read_pet_series",
    "read_suv_image",
    "write_dicom_seg",
    "write_mask_nifti",
    "write_seg_nrrd",
}
PARTS = sorted(path.parent.name for path in (REPOSITORY / "SegAnyPETLib").glob("*/__init__.py"))
NEEDS_SLICER = {"mrml"}


def test_promised_names_are_public():
    assert set(SegAnyPETLib.__all__) >= PROMISED


def test_all_is_sorted_and_without_doubles():
    assert SegAnyPETLib.__all__ == sorted(set(SegAnyPETLib.__all__))


@pytest.mark.parametrize("name", SegAnyPETLib.__all__)
def test_every_public_name_loads(name):
    assert getattr(SegAnyPETLib, name) is not None


def test_completion_shows_the_public_names():
    assert dir(SegAnyPETLib) == SegAnyPETLib.__all__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'segment_everything'"):
        SegAnyPETLib.segment_everything  # noqa: B018  the access is what is tested


@pytest.mark.parametrize("part", [part for part in PARTS if part not in NEEDS_SLICER])
def test_every_part_lists_names_that_exist(part):
    module = importlib.import_module(f"SegAnyPETLib.{part}")
    for name in module.__all__:
        assert hasattr(module, name), f"SegAnyPETLib.{part}.{name} is listed but absent"


def test_the_version_is_written_once():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "version" in project.get("dynamic", []) or project["version"] == SegAnyPETLib.__version__


def test_public_functions_take_at_most_two_positional_arguments():
    for name in SegAnyPETLib.__all__:
        target = getattr(SegAnyPETLib, name)
        if not inspect.isfunction(target):
            continue
        parameters = inspect.signature(target).parameters.values()
        assert sum(p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for p in parameters) <= 2, name
        assert not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters), name
