import csv

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
import slicer
from lesion_scene import SHAPE, Desk, a_pet
from mrml_nodes import GEOMETRIES, LPS_FROM_RAS, geometry, put_under

from SegAnyPETLib import compute_suv, nema_phantom, read_pet_series, write_phantom_series
from SegAnyPETLib.data.segment import LYMPH_NODE
from SegAnyPETLib.errors import GeometryError, OutputError, SessionError
from SegAnyPETLib.mrml import addVolumeNode
from SegAnyPETLib.phantom import centred_grid

TILT = geometry(degrees=(11, 23, -5), spacing=(1, 1, 1), origin=(12.0, -7.0, 3.0))


@pytest.fixture
def a_desk(a_scene, rng):
    """Two lesions in a volume under a transform."""
    volume = a_pet(a_scene, rng)
    put_under(a_scene, volume, TILT)
    desk = Desk(volume)
    desk.click((8, 10, 10))
    desk.editor.renameLesion(desk.editor.selectedLesion, "Axilla / left")
    desk.editor.setLesionTerminology(desk.editor.selectedLesion, LYMPH_NODE)
    desk.editor.addLesion()
    desk.click((14, 17, 22))
    desk.editor.addLesion()  # empty: not exported
    yield desk
    desk.editor.close()


def masks_of(desk):
    return [desk.segment(row.segmentID) for row in desk.editor.rows if row.state == "ready"]


def test_the_table_has_a_line_per_lesion_with_its_measures(a_desk, tmp_path):
    a_desk.editor.exportTable(tmp_path / "measures.csv")
    with (tmp_path / "measures.csv").open(encoding="utf-8") as stream:
        lines = list(csv.DictReader(stream))
    assert [line["label"] for line in lines] == ["Axilla / left", "Lesion 2"]
    values = slicer.util.arrayFromVolume(a_desk.volume)
    for line, mask in zip(lines, masks_of(a_desk), strict=True):
        assert float(line["mtv_ml"]) == pytest.approx(mask.sum() * 2.0 * 2.5 * 3.7 / 1000, rel=1e-6)
        assert float(line["suvbw_max_g_per_ml"]) == pytest.approx(values[mask].max(), rel=1e-6)
        assert line["click_count"] == "1"


def test_nifti_masks_lie_on_the_grid_of_the_file_the_volume_came_from(a_desk, tmp_path):
    files = a_desk.editor.exportNifti(tmp_path)
    assert [file.name for file in files] == ["Axilla _ left.nii.gz", "Lesion 2.nii.gz"]
    ijkToLPS = LPS_FROM_RAS @ GEOMETRIES["oblique"]  # without the transform, which only the scene knows
    for file, mask in zip(files, masks_of(a_desk), strict=True):
        image = sitk.ReadImage(str(file))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(image), mask)
        np.testing.assert_allclose(
            image.TransformContinuousIndexToPhysicalPoint((3.0, 5.0, 7.0)), (ijkToLPS @ (3, 5, 7, 1))[:3], atol=1e-3
        )


def test_lesions_of_the_same_name_get_files_of_their_own(a_desk, tmp_path):
    for row in a_desk.editor.rows:
        a_desk.editor.renameLesion(row.segmentID, "Node")
    files = a_desk.editor.exportNifti(tmp_path)
    assert len({file.name for file in files}) == 2


def test_the_seg_nrrd_opens_in_slicer_with_names_and_voxels(a_scene, a_desk, tmp_path):
    a_desk.editor.exportSegNrrd(tmp_path / "lesions.seg.nrrd")
    node = a_scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "again")
    storage = a_scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(tmp_path / "lesions.seg.nrrd"))
    assert storage.ReadData(node)
    node.SetAndObserveTransformNodeID(a_desk.volume.GetTransformNodeID())
    segmentation = node.GetSegmentation()
    for number, (name, mask) in enumerate(zip(("Axilla / left", "Lesion 2"), masks_of(a_desk), strict=True)):
        segmentID = segmentation.GetNthSegmentID(number)
        assert segmentation.GetSegment(segmentID).GetName() == name
        found = slicer.util.arrayFromSegmentBinaryLabelmap(node, segmentID, a_desk.volume).astype(bool)
        assert (found ^ mask).sum() <= 0.01 * mask.sum()  # Slicer resamples twice under a transform


def test_nothing_to_export_is_said(a_scene, rng, tmp_path):
    desk = Desk(a_pet(a_scene, rng))
    desk.editor.addLesion()
    for export in (desk.editor.exportTable, desk.editor.exportSegNrrd, desk.editor.exportNifti):
        with pytest.raises(OutputError, match="Click a lesion first"):
            export(tmp_path / "x.seg.nrrd")
    desk.editor.setVolume(None)
    with pytest.raises(SessionError):
        desk.editor.exportTable(tmp_path / "x.csv")
    desk.editor.close()


@pytest.fixture(scope="module")
def a_series(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom")
    grid = centred_grid((12, 40, 44), (4.0, 4.5, 6.0), orientation="oblique")
    write_phantom_series(nema_phantom(grid=grid), folder)
    return read_pet_series(folder)


def test_a_dicom_seg_refers_to_its_series_and_holds_the_voxels(a_scene, a_series, tmp_path):
    image = compute_suv(a_series)
    desk = Desk(addVolumeNode(a_scene, image, name="PET"))
    k, j, i = np.unravel_index(image.array.argmax(), image.array.shape)
    desk.click((k, j, i))
    desk.editor.exportDicomSeg(tmp_path / "lesions.dcm", a_series)
    written = pydicom.dcmread(tmp_path / "lesions.dcm")
    assert written.ReferencedSeriesSequence[0].SeriesInstanceUID == a_series.series_instance_uid
    assert int(written.pixel_array.sum()) == desk.segment().sum()
    desk.editor.close()


def test_contours_lie_on_the_slices_of_the_series_and_hold_the_voxels(a_scene, a_series, tmp_path):
    image = compute_suv(a_series)
    desk = Desk(addVolumeNode(a_scene, image, name="PET"))
    desk.click(np.unravel_index(image.array.argmax(), image.array.shape))
    desk.editor.renameLesion(desk.editor.selectedLesion, "Axilla")
    desk.editor.setLesionTerminology(desk.editor.selectedLesion, LYMPH_NODE)
    desk.editor.exportRTStruct(tmp_path / "lesions.dcm", a_series)
    written = pydicom.dcmread(tmp_path / "lesions.dcm")
    assert [region.ROIName for region in written.StructureSetROISequence] == ["Axilla"]
    [seen] = written.RTROIObservationsSequence
    assert seen.RTROIIdentificationCodeSequence[0].CodeMeaning == "Lymph node"
    images = [pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID for file in a_series.source_files]
    area = np.zeros(len(images))
    for contour in written.ROIContourSequence[0].ContourSequence:
        k = images.index(contour.ContourImageSequence[0].ReferencedSOPInstanceUID)
        kji = a_series.grid.lps_to_kji(np.reshape(contour.ContourData, (-1, 3)))
        np.testing.assert_allclose(kji[:, 0], k, atol=1e-4)
        j, i = kji[:, 1], kji[:, 2]
        area[k] += abs(np.dot(i, np.roll(j, -1)) - np.dot(j, np.roll(i, -1))) / 2
    np.testing.assert_allclose(area, desk.segment().sum(axis=(1, 2)), atol=1e-3)
    desk.editor.close()


@pytest.mark.parametrize("export", ["exportDicomSeg", "exportRTStruct"])
def test_dicom_of_another_volume_is_refused(a_scene, rng, a_series, tmp_path, export):
    desk = Desk(a_pet(a_scene, rng))
    desk.click((8, 10, 10))
    with pytest.raises(GeometryError, match="series this volume was made from"):
        getattr(desk.editor, export)(tmp_path / "lesions.dcm", a_series)
    desk.editor.close()


def test_masks_find_their_voxels_in_a_grid_that_counts_another_way(rng):
    from SegAnyPETLib.geometry import Grid
    from SegAnyPETLib.mrml.exports import _onGrid
    from SegAnyPETLib.session.packed_mask import PackedMask

    ijkToLPS = LPS_FROM_RAS @ GEOMETRIES["oblique"]
    grid = Grid.from_ijk_to_lps(ijkToLPS, shape_kji=SHAPE)
    flip = np.diag([1.0, 1.0, -1.0, 1.0])
    flip[2, 3] = SHAPE[0] - 1
    other = Grid.from_ijk_to_lps(ijkToLPS @ flip, shape_kji=SHAPE)
    mask = rng.random(SHAPE) < 0.05
    np.testing.assert_array_equal(_onGrid(PackedMask.of(mask), grid, other), mask[::-1])
