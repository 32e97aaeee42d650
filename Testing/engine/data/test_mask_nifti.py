"""Written NIfTI read by nibabel, which shares no code with what wrote it."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from three_segments import ORIENTATIONS, awkward_grid, some_segments, sorted_points, world_points

from SegAnyPETLib.data import read_volume_file, write_mask_nifti, write_seg_nrrd, write_volume_nifti
from SegAnyPETLib.errors import GeometryError, OutputError


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_nibabel_finds_the_same_voxels_in_the_world(tmp_path, orientation, ending):
    grid, mask = awkward_grid(orientation), some_segments()[0].mask
    path = write_mask_nifti(tmp_path / f"mask{ending}", mask, grid=grid)
    image = nibabel.load(path)
    values = np.asanyarray(image.dataobj)
    assert values.dtype == np.uint8
    ras = nibabel.affines.apply_affine(image.affine, np.argwhere(values == 1))
    assert np.abs(sorted_points(ras * (-1, -1, 1)) - world_points(mask, grid)).max() < 0.011
    assert np.array_equal(values, mask.transpose(2, 1, 0))


def test_a_volume_keeps_its_values(tmp_path):
    grid = awkward_grid()
    array = np.random.default_rng(4).normal(3, 2, grid.shape_kji).astype(np.float32)
    image = nibabel.load(write_volume_nifti(tmp_path / "suv.nii.gz", array, grid=grid))
    assert np.array_equal(np.asanyarray(image.dataobj), array.transpose(2, 1, 0))


def test_an_empty_mask_is_a_result_in_nifti(tmp_path):
    grid = awkward_grid()
    image = nibabel.load(write_mask_nifti(tmp_path / "m.nii", np.zeros(grid.shape_kji, bool), grid=grid))
    assert not np.asanyarray(image.dataobj).any()


def test_masks_and_names_that_do_not_fit_are_refused(tmp_path):
    grid = awkward_grid()
    with pytest.raises(GeometryError, match="on the image's grid"):
        write_mask_nifti(tmp_path / "m.nii", np.zeros((11, 13, 9), bool), grid=grid)
    with pytest.raises(GeometryError, match="0 and 1"):
        write_mask_nifti(tmp_path / "m.nii", np.full(grid.shape_kji, 3), grid=grid)
    with pytest.raises(GeometryError, match="on the grid"):
        write_volume_nifti(tmp_path / "m.nii", np.zeros((2, 2, 2)), grid=grid)
    with pytest.raises(OutputError, match=r"ending in \.nii"):
        write_mask_nifti(tmp_path / "mask.nrrd", np.zeros(grid.shape_kji, bool), grid=grid)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, monkeypatch):
    def full(_image: object, name: str, **_options: object) -> None:
        Path(name).write_bytes(b"half")
        raise RuntimeError("sitk::ERROR: write error: No space left on device")

    monkeypatch.setattr("SegAnyPETLib.data.nifti_output.sitk.WriteImage", full)
    grid = awkward_grid()
    with pytest.raises(OutputError, match=r"mask\.nii\.gz: .*No space left on device"):
        write_mask_nifti(tmp_path / "mask.nii.gz", np.zeros(grid.shape_kji, bool), grid=grid)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", [".nii.gz", ".seg.nrrd"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_the_librarys_own_reader_gives_back_mask_and_grid(tmp_path, orientation, ending):
    grid, segment = awkward_grid(orientation), some_segments()[0]
    path = tmp_path / f"mask{ending}"
    if ending == ".nii.gz":
        write_mask_nifti(path, segment.mask, grid=grid)
    else:
        write_seg_nrrd(path, [segment], grid=grid)
    values, found = read_volume_file(path)
    assert np.array_equal(values == 1, segment.mask)
    assert found.is_close(grid, tolerance_mm=2e-3)
