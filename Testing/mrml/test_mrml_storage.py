import numpy as np
import pytest
import slicer
import vtk
from mrml_nodes import GEOMETRIES, SHAPE_KJI, add_segmentation, add_volume, read_segment, sphere

from SegAnyPETLib.data.seg_nrrd_output import write_seg_nrrd
from SegAnyPETLib.data.segment import LESION, LYMPH_NODE, ORGAN_TERMS, Code, Segment, Terminology
from SegAnyPETLib.geometry import VoxelBox
from SegAnyPETLib.mrml.frames import gridFromVolumeNode
from SegAnyPETLib.mrml.segments import addSegment, addSegmentationNode, maskFromSegment, writeMaskToSegment
from SegAnyPETLib.mrml.terminology import setTerminology, terminologyFromSegment
from SegAnyPETLib.mrml.volumes import suvVolumeFromNode
from SegAnyPETLib.suv import read_suv_image

PRESETS = {
    "lesion": LESION,
    "node": LYMPH_NODE,
    "paired organ": ORGAN_TERMS["left kidney"],
    "with region": Terminology(LESION.category, LESION.type, Code("10200004", "SCT", "Liver")),
}


def save_and_load(scene, node, path):
    """Write as .seg.nrrd and read into a new node, by Slicer's own storage node."""
    again = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "again")
    for each, action in ((node, "WriteData"), (again, "ReadData")):
        storage = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
        storage.SetFileName(str(path))
        assert getattr(storage, action)(each)
    return again


@pytest.fixture
def a_volume(a_scene):
    return add_volume(a_scene, matrix=GEOMETRIES["oblique"])


def a_lesion(volume, *, centre_kji=(6, 8, 11), radius_mm=11):
    centre = gridFromVolumeNode(volume).kji_to_lps(centre_kji)
    return sphere(GEOMETRIES["oblique"], centre_lps=centre, radius_mm=radius_mm)


def test_name_colour_terminology_and_voxels_survive_a_seg_nrrd(a_scene, a_volume, tmp_path):
    node = addSegmentationNode(a_volume, name="Lesions")
    mask = a_lesion(a_volume)
    segmentID = addSegment(node, name="Läsion 1", colorRGB=(0.8, 0.4, 0.2))
    setTerminology(node, segmentID, LESION)
    writeMaskToSegment(mask, segmentationNode=node, segmentID=segmentID, grid=gridFromVolumeNode(a_volume))
    again = save_and_load(a_scene, node, tmp_path / "lesions.seg.nrrd")
    segment = again.GetSegmentation().GetSegment(segmentID)
    assert segment.GetName() == "Läsion 1"
    assert segment.GetColor() == pytest.approx((0.8, 0.4, 0.2), abs=1e-6)
    assert terminologyFromSegment(again, segmentID) == LESION
    np.testing.assert_array_equal(read_segment(again, segmentID, a_volume), mask)


def test_a_loaded_segment_is_on_the_volumes_lattice_and_boxes_of_it_can_be_rewritten(a_scene, a_volume, tmp_path):
    grid = gridFromVolumeNode(a_volume)
    first, other = a_lesion(a_volume, radius_mm=8), a_lesion(a_volume, centre_kji=(10, 4, 4), radius_mm=8)
    node, (segmentID, otherID) = add_segmentation(a_scene, a_volume, [first, other])
    again = save_and_load(a_scene, node, tmp_path / "lesions.seg.nrrd")
    np.testing.assert_array_equal(maskFromSegment(again, segmentID, grid=grid), first)
    outside = first.copy()
    box = VoxelBox((0, 0, 0), (6, 18, 22))
    new = a_lesion(a_volume, radius_mm=14)
    writeMaskToSegment(new, segmentationNode=again, segmentID=segmentID, grid=grid, box=box)
    outside[box.slices] = new[box.slices]  # only a segment on the same lattice keeps what lies outside the box
    np.testing.assert_array_equal(read_segment(again, segmentID, a_volume), outside)
    np.testing.assert_array_equal(read_segment(again, otherID, a_volume), other)


@pytest.mark.parametrize("name", PRESETS)
def test_slicer_understands_the_terminology_tag(a_scene, a_volume, name):
    node, (segmentID,) = add_segmentation(a_scene, a_volume, [np.ones(SHAPE_KJI, bool)])
    setTerminology(node, segmentID, PRESETS[name])
    tag = node.GetSegmentation().GetSegment(segmentID)
    entry = slicer.vtkSlicerTerminologyEntry()
    value = vtk.reference("")
    assert tag.GetTag("TerminologyEntry", value)
    assert slicer.vtkSlicerTerminologiesModuleLogic().DeserializeTerminologyEntry(str(value), entry)
    expected = PRESETS[name]
    assert entry.GetCategoryObject().GetCodeValue() == expected.category.value
    assert entry.GetTypeObject().GetCodeValue() == expected.type.value
    assert entry.GetTypeObject().GetCodeMeaning() == expected.type.meaning
    for found, code in (
        (entry.GetRegionObject(), expected.region),
        (entry.GetTypeModifierObject(), expected.type_modifier),
    ):
        assert (found.GetCodeValue() or None) == (code.value if code else None)
    assert terminologyFromSegment(node, segmentID) == expected


@pytest.mark.parametrize("tag", [None, "", "not a terminology", "a~^^~^^~^^~b~^^~^^"])
def test_a_segment_without_terminology_has_none(a_scene, a_volume, tag):
    node, (segmentID,) = add_segmentation(a_scene, a_volume, [np.ones(SHAPE_KJI, bool)])
    segment = node.GetSegmentation().GetSegment(segmentID)
    if tag is None:
        segment.RemoveTag("TerminologyEntry")
    else:
        segment.SetTag("TerminologyEntry", tag)
    assert terminologyFromSegment(node, segmentID) is None


def test_our_own_seg_nrrd_opens_in_slicer_as_the_same_segments(a_scene, a_volume, tmp_path):
    first, second = a_lesion(a_volume), a_lesion(a_volume, centre_kji=(8, 10, 9), radius_mm=8)
    assert (first & second).any()
    segments = [
        Segment("Lesion A", first, (0.9, 0.2, 0.1), LESION),
        Segment("Node B", second, (0.1, 0.4, 0.9), LYMPH_NODE),
    ]
    write_seg_nrrd(tmp_path / "ours.seg.nrrd", segments, grid=gridFromVolumeNode(a_volume))
    node = a_scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    storage = a_scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(tmp_path / "ours.seg.nrrd"))
    assert storage.ReadData(node)
    ids = list(node.GetSegmentation().GetSegmentIDs())
    for segmentID, expected in zip(ids, segments, strict=True):
        segment = node.GetSegmentation().GetSegment(segmentID)
        assert segment.GetName() == expected.label
        assert segment.GetColor() == pytest.approx(expected.color_rgb, abs=1e-5)
        assert terminologyFromSegment(node, segmentID) == expected.terminology
        np.testing.assert_array_equal(read_segment(node, segmentID, a_volume), expected.mask)


@pytest.mark.parametrize("ending", [".nrrd", ".nii.gz", ".mha"])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_a_volume_saved_by_slicer_is_read_by_us_as_the_volume_in_the_scene(a_scene, rng, tmp_path, name, ending):
    node = add_volume(a_scene, rng.gamma(2.0, 1.5, SHAPE_KJI).astype(np.float32), matrix=GEOMETRIES[name], suv="bw")
    storage = a_scene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(str(tmp_path / f"pet{ending}"))
    assert storage.WriteData(node)
    ours, inScene = read_suv_image(tmp_path / f"pet{ending}"), suvVolumeFromNode(node)
    assert ours.grid.is_close(inScene.grid, tolerance_mm=1e-3)  # NIfTI keeps its matrix in single precision
    np.testing.assert_array_equal(ours.array, inScene.array)


def test_a_real_case_is_the_same_from_slicers_reader_and_from_ours(a_scene, real_data_folder):
    file = real_data_folder / "sts" / "STS_042" / "pet.nii.gz"
    node = slicer.modules.volumes.logic().AddArchetypeVolume(str(file), "PET", 0, None)
    ours, inScene = read_suv_image(file), suvVolumeFromNode(node, kind="bw")
    assert ours.grid.is_close(inScene.grid, tolerance_mm=1e-3)
    np.testing.assert_array_equal(ours.array, inScene.array)
