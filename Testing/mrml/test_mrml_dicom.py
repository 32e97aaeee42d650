"""PET read by Slicer's own reader against ours, and the trap in its other reader."""

import numpy as np
import pytest
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from SegAnyPETLib.data import read_pet_series
from SegAnyPETLib.mrml import addVolumeNode, gridFromVolumeNode, suvVolumeFromNode
from SegAnyPETLib.phantom import centred_grid, nema_phantom, write_phantom_series
from SegAnyPETLib.suv import compute_suv

ORIENTATIONS = ("axial", "coronal", "sagittal", "oblique")


def load_in_slicer(files):
    """A DICOM series as Slicer's Volumes module loads it."""
    names = vtk.vtkStringArray()
    for file in files:
        names.InsertNextValue(str(file))
    return slicer.modules.volumes.logic().AddArchetypeScalarVolume(str(files[0]), "PET", 0, names)


def a_series(folder, orientation):
    grid = centred_grid((9, 14, 17), (3.1, 3.1, 4.7), orientation=orientation)
    phantom = nema_phantom(grid=grid, diameters_mm=(17,), centres_lps_mm=((2.0, -1.0, 1.5),), sphere_suv=7.0)
    return read_pet_series(write_phantom_series(phantom, folder / "PET"))


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_our_series_and_slicers_volume_are_the_same_voxels_at_the_same_places(a_scene, tmp_path, orientation):
    series = a_series(tmp_path, orientation)
    node = load_in_slicer(series.source_files)
    grid = gridFromVolumeNode(node)
    assert grid.is_close(series.grid, tolerance_mm=1e-4)
    np.testing.assert_allclose(slicer.util.arrayFromVolume(node), series.values, rtol=1e-6)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_the_suv_volume_we_add_to_the_scene_lies_on_the_volume_slicer_loads(a_scene, tmp_path, orientation):
    series = a_series(tmp_path, orientation)
    image = compute_suv(series, kind="bw")
    node = addVolumeNode(a_scene, image, name="SUV")
    assert gridFromVolumeNode(node).is_close(gridFromVolumeNode(load_in_slicer(series.source_files)), tolerance_mm=1e-4)
    np.testing.assert_array_equal(suvVolumeFromNode(node).array, image.array)


def test_slicers_dcmtk_reader_cuts_decimals_off_so_dicom_must_be_read_by_us(a_scene, tmp_path):
    series = a_series(tmp_path, "axial")
    images = {}
    for name in ("GDCM", "DCMTK"):
        reader = slicer.vtkITKArchetypeImageSeriesScalarReader()
        reader.SetArchetype(str(series.source_files[0]))
        for file in series.source_files:
            reader.AddFileName(str(file))
        reader.SetSingleFile(0)
        reader.SetOutputScalarTypeToNative()
        getattr(reader, f"SetDICOMImageIOApproachTo{name}")()
        reader.Update()
        images[name] = vtk_to_numpy(reader.GetOutput().GetPointData().GetScalars()).astype(float)
    np.testing.assert_allclose(images["GDCM"], series.values.ravel(), rtol=1e-6)
    np.testing.assert_array_equal(images["DCMTK"], np.trunc(images["GDCM"]))
    assert (images["DCMTK"] != images["GDCM"]).mean() > 0.9


def test_two_real_studies_agree_with_slicers_reading(a_scene, real_data_folder):
    for study in sorted((real_data_folder / "sts_dicom").iterdir()):
        series = read_pet_series(study / "PET")
        node = load_in_slicer(series.source_files)
        assert gridFromVolumeNode(node).is_close(series.grid, tolerance_mm=1e-3)
        np.testing.assert_allclose(slicer.util.arrayFromVolume(node), series.values, rtol=1e-6)
