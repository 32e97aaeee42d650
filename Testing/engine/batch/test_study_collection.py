"""The collection of studies for long runs: whatever the header says, the SUV that went in comes out."""

from __future__ import annotations

import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from SegAnyPETLib import compute_suv, read_pet_series
from SegAnyPETLib.data import PETSeries

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "batch_study"))

from study_collection import SUV_TOLERANCE, ExpectedStudy, make_collection, sources_of
from study_recipes import BODY_SUV, FAULTS, HEADER_STYLES, plan


@pytest.fixture(scope="module")
def every_header(tmp_path_factory: pytest.TempPathFactory) -> list[ExpectedStudy]:
    """One sound study for each header style, which go through all orientations, layouts and companions too."""
    return make_collection(tmp_path_factory.mktemp("headers"), studies=len(HEADER_STYLES), seed=11, faults=())


@pytest.mark.parametrize("number", range(len(HEADER_STYLES)), ids=[str(style) for style in HEADER_STYLES])
def test_every_header_style_gives_the_suv_that_was_put_in(every_header, tmp_path, number):
    study = every_header[number]
    series = _read(study, tmp_path)
    truth, grid = study.recipe.phantom(), study.recipe.grid
    found = compute_suv(series)

    voxel = np.array([3.0, 7.0, 11.0])
    place = series.grid.kji_to_lps(voxel)
    turned = [len(truth.activity_suv) - 1 - 3.0, 7.0, 11.0] if study.recipe.slices_reversed else voxel
    np.testing.assert_allclose(grid.kji_to_lps(turned), place, atol=1e-3)
    wanted = truth.activity_suv[::-1] if study.recipe.slices_reversed else truth.activity_suv
    largest = wanted.max(axis=(1, 2), keepdims=True)
    assert np.abs(found.array - wanted).max() <= SUV_TOLERANCE * wanted.max()
    assert (np.abs(found.array - wanted) <= SUV_TOLERANCE * largest).all()


def test_lesions_lie_apart_inside_the_body_and_stand_out(every_header):
    for study in every_header:
        recipe = replace(study.recipe, is_noisy=False)
        truth = recipe.phantom()
        for lesion, item in zip(study.lesions, truth.lesions, strict=True):
            assert 0.8 * item.true_suv < lesion.suv_max < 1.25 * item.true_suv
        assert not (np.sum([item.mask for item in truth.lesions], axis=0) > 1).any()
        # Blurring keeps the sum: what the lesions add to the body is their volume times their contrast.
        added = truth.activity_suv.astype(float) - replace(recipe, lesion_count=0).phantom().activity_suv
        wanted = sum((suv - BODY_SUV) * shape.volume_ml for shape, suv in recipe.lesions)
        assert added.sum() * truth.grid.voxel_volume_ml == pytest.approx(wanted, rel=2e-3)


def test_the_same_numbers_give_the_same_files(tmp_path):
    first, again = (make_collection(tmp_path / name, studies=2, seed=3, faults=()) for name in ("a", "b"))
    assert [study.keys for study in first] == [study.keys for study in again]
    a, b = (
        {p.relative_to(tmp_path / n): p.read_bytes() for p in (tmp_path / n).rglob("*") if p.is_file()} for n in "ab"
    )
    assert len(a) > 50
    assert all(a[path] == b[path] for path in a if path.name != "DICOMDIR")
    assert sources_of(first, tmp_path / "a")[0] == tmp_path / "a" / "tree"


def test_a_collection_of_two_hundred_has_every_fault_four_times_and_mostly_sound_studies():
    recipes = plan(200, seed=1)
    faults = [recipe.fault for recipe in recipes]
    assert all(faults.count(fault) == 4 for fault in FAULTS)
    assert faults.count(None) == 128
    assert len({(recipe.style, recipe.orientation) for recipe in recipes}) == len(HEADER_STYLES) * 4
    patients = [recipe.patient for recipe in recipes]
    assert 10 < sum(patients.count(patient) == 2 for patient in set(patients)) < 40


def _read(study: ExpectedStudy, folder: Path) -> PETSeries:
    if study.path.suffix == ".zip":
        with zipfile.ZipFile(study.path) as archive:
            archive.extractall(folder)
        return read_pet_series(folder)
    return read_pet_series(study.path.parent if study.path.is_file() else study.path)
