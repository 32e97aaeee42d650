"""A study of one lesion as DICOM and as NIfTI, and a model whose answer is known: a ball around each positive click."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

import SegAnyPETLib.model
from SegAnyPETLib.data import write_mask_nifti, write_volume_nifti
from SegAnyPETLib.errors import ModelError
from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.phantom import centred_grid, nema_phantom, write_phantom_series

BALL_MM = 14.0
PREPROCESSING = SimpleNamespace(
    roi_shape=(32, 32, 32),
    spacings_mm=(4.0,),
    tensor_axes="kji_lps",
    normalization="log_suv",
    mask_prompt_first="none",
    points="accumulate",
    mask_stride=1,
    mask_shape=(32, 32, 32),
)


class BallModel:
    """Answers with balls of 14 mm around the positive clicks, less those around the negative ones."""

    spec = SimpleNamespace(name="ball", preprocessing=PREPROCESSING)
    weights_path = None

    def encode(self, volume):
        return volume

    def decode(self, embedding, *, points=None, mask_logits=None):
        import torch

        coordinates, labels = points
        axes = torch.meshgrid(*[torch.arange(32.0)] * 3, indexing="ij")
        logits = torch.full((32, 32, 32), -6.0)
        for position, label in zip(coordinates[0], labels[0], strict=True):
            distance = torch.sqrt(sum((axis - at) ** 2 for axis, at in zip(axes, position, strict=True)))
            ball = BALL_MM / 4.0 - distance
            logits = torch.maximum(logits, ball) if label == 1 else torch.minimum(logits, -ball)
        return logits[None, None], torch.ones(1, 1)


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
def ball_model(monkeypatch) -> None:
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


def ball_volume_ml(radius_mm: float = BALL_MM) -> float:
    """Volume of the ball the model answers with."""
    return float(4 / 3 * np.pi * radius_mm**3 / 1000.0)
