"""A study of one lesion as DICOM and as NIfTI, and a model whose answer is known: a ball around each positive click."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from typed_ball_model import BallModel

import SegAnyPETLib.model
from SegAnyPETLib.data import write_mask_nifti, write_volume_nifti
from SegAnyPETLib.errors import ModelError
from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.phantom import centred_grid, nema_phantom, write_phantom_series


@dataclass(frozen=True)
class AStudy:
    """Where one lesion is, and the files that show it."""

    dicom: str
    nifti: str
    seed: str
    lesion_lps_mm: tuple[float, float, float]
    grid: Grid

    @property
    def click(self) -> str:
        return ",".join(f"{value:.2f}" for value in self.lesion_lps_mm)


@pytest.fixture(scope="session")
def a_study(tmp_path_factory) -> AStudy:
    """A sphere of 28 mm at negative coordinates in an oblique image of unequal spacing."""
    folder = tmp_path_factory.mktemp("study")
    grid = centred_grid((34, 30, 40), (3.5, 4.5, 3.0), centre_lps_mm=(-90.0, -40.0, -300.0), orientation="oblique")
    centre = (-95.0, -36.0, -304.0)
    phantom = nema_phantom(grid=grid, diameters_mm=(28.0,), centres_lps_mm=(centre,))
    write_phantom_series(phantom, folder / "PET")
    write_volume_nifti(folder / "pet.nii.gz", phantom.activity_suv, grid=grid)
    write_mask_nifti(folder / "seed.nii.gz", phantom.objects[0].mask, grid=grid)
    return AStudy(str(folder / "PET"), str(folder / "pet.nii.gz"), str(folder / "seed.nii.gz"), centre, grid)


@pytest.fixture
def typed_ball_model(monkeypatch) -> None:
    """`load_model` gives the ball model for the name "ball", and no other."""

    def load(name, **options):
        if str(name) != "ball":
            message = f"Expected a registered model; found {name!r}."
            raise ModelError(message)
        return BallModel()

    monkeypatch.setattr(SegAnyPETLib.model, "load_model", load, raising=False)


@pytest.fixture
def cases(tmp_path):
    """A folder of three cases as `seganypet evaluate` wants them."""
    for number in (1, 2, 7):
        grid = Grid((20, 22, 24), (4.0, 5.0, 3.5), (-31.0, 12.5, 870.0 + number))
        centre = grid.kji_to_lps((9 + number / 2, 11, 12))
        phantom = nema_phantom(grid=grid, diameters_mm=(26.0,), centres_lps_mm=(tuple(centre.tolist()),))
        folder = tmp_path / "cases" / f"CASE_{number:03d}"
        folder.mkdir(parents=True)
        write_volume_nifti(folder / "pet.nii.gz", phantom.activity_suv, grid=grid)
        write_mask_nifti(folder / "gtv.nii.gz", phantom.objects[0].mask, grid=grid)
    return tmp_path / "cases"
