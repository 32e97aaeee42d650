"""Study results made by hand on an oblique grid of unequal spacing; the expected numbers are worked out on paper."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from SegAnyPETLib.batch.lesion import LesionRequest, StudyLesion, StudyRequest, StudyResult
from SegAnyPETLib.batch.settings import BatchSettings
from SegAnyPETLib.batch.study import FoundStudy, SeriesFiles
from SegAnyPETLib.data import PETSeries, read_pet_series
from SegAnyPETLib.phantom import centred_grid, nema_phantom, write_phantom_series
from SegAnyPETLib.session import Point
from SegAnyPETLib.suv import SUVVolume, compute_measures

SHAPE, SPACING = (9, 13, 11), (4.1, 3.2, 5.7)  # i, j, k in mm
VOXEL_ML = 4.1 * 3.2 * 5.7 / 1000
ONLY_MASKS = BatchSettings(formats=("nifti",))
EVERYTHING = BatchSettings(formats=("seg", "sr", "rtstruct", "seg.nrrd", "nifti", "png"))


def a_series(folder: Path) -> PETSeries:
    grid = centred_grid(SHAPE, SPACING, centre_lps_mm=(-88.0, 45.0, 1203.0), orientation="oblique")
    phantom = nema_phantom(grid=grid, diameters_mm=(20.0,), centres_lps_mm=(tuple(grid.kji_to_lps((4, 6, 5))),))
    write_phantom_series(phantom, folder / "PET")
    return read_pet_series(folder / "PET")


def box_mask(start, stop) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = True
    return mask


# Twelve voxels and eight, one of them shared, and a single hot voxel far away that is probably normal.
FIRST = box_mask((1, 2, 3), (3, 4, 6))
SECOND = box_mask((2, 3, 5), (4, 5, 7))
NORMAL = box_mask((7, 11, 9), (8, 12, 10))


def an_image(series: PETSeries, kind="bw") -> SUVVolume:
    """SUV 4 in both lesions with one voxel of 10, and 20 in what is normal."""
    values = np.zeros(SHAPE, np.float32)
    values[FIRST | SECOND] = 4.0
    values[1, 2, 3] = 10.0
    values[NORMAL] = 20.0
    return SUVVolume(values, series.grid, kind)


def a_lesion(image: SUVVolume, mask, label: str, **change) -> StudyLesion:
    asked = {"origin": "candidate, SUVbw >= 4 g/ml", "facts": {"seed_suvbw_g_per_ml": 4.5}, **change.pop("asked", {})}
    request = LesionRequest(label, (Point((1.0, 2.0, 3.0)),), **asked)
    made = StudyLesion(request, mask, compute_measures(image, mask), 0.8, (0.5, 1.5), f"2.25.{1000 + len(label)}")
    return replace(made, **change)


def three_lesions(image: SUVVolume) -> tuple[StudyLesion, ...]:
    return (
        a_lesion(image, FIRST, "Lesion 1"),
        a_lesion(image, SECOND, "Knoten 22 (µ)", volume_interval_ml=None, notices=("A click was moved.",)),
        a_lesion(image, NORMAL, "Focus three", asked={"physiology": "urinary bladder: low in the pelvis"}),
    )


def a_result(series: PETSeries, lesions=None, *, study="1.2.3.4", patient="aa11", image=None) -> StudyResult:
    image = image or an_image(series)
    files = SeriesFiles(series.series_instance_uid, "PT", "Doe^Jane PET", series.source_files)
    found = FoundStudy(study, patient, "Doe^Jane/1", "20260302", files, None, "the only PET series")
    request = StudyRequest((), "All foci with SUVbw >= 4 g/ml.", {"threshold_suvbw_g_per_ml": 4.0}, ("No liver.",))
    lesions = three_lesions(image) if lesions is None else lesions
    seconds = {"reading": 1.0, "segmenting": 2.5}
    return StudyResult(
        found, series, image, request, lesions, {"Gone": "the model found nothing"}, "lite", "f" * 64, seconds
    )
