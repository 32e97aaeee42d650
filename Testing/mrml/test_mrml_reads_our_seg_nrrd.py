"""The .seg.nrrd we write, opened by Slicer's own storage node."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk

from SegAnyPETLib.data import Algorithm, Segment, write_seg_nrrd
from SegAnyPETLib.data.segment import LYMPH_NODE, ORGAN_TERMS
from SegAnyPETLib.phantom import centred_grid

SHAPE_KJI = (9, 13, 11)


def our_segments(overlap):
    first, second = np.zeros(SHAPE_KJI, bool), np.zeros(SHAPE_KJI, bool)
    first[1:4, 2:7, 3:9] = True
    first[2, 7:9, 4] = True
    second[2 if overlap else 5 : 8, 5:10, 6:8] = True
    return [
        Segment("Lesion 1", first, algorithm=Algorithm("lite", "0.1.0")),
        Segment("Knoten: 2, präaortal \\ links", second, color_rgb=(0.1, 0.6, 0.95), terminology=LYMPH_NODE),
    ]


def read_by_slicer(scene, path):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    storage = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(path))
    assert storage.ReadData(node)
    return node.GetSegmentation()


def world_points(labelmap, value):
    """RAS centres of the voxels with `value`, by VTK's own matrix."""
    matrix = vtk.vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(matrix)
    i0, i1, j0, j1, k0, k1 = labelmap.GetExtent()
    points = [
        matrix.MultiplyPoint((i, j, k, 1))[:3]
        for k in range(k0, k1 + 1)
        for j in range(j0, j1 + 1)
        for i in range(i0, i1 + 1)
        if labelmap.GetScalarComponentAsDouble(i, j, k, 0) == value
    ]
    return np.array(sorted(np.round(points, 2).tolist()))


@pytest.mark.parametrize("orientation", ["axial", "sagittal", "oblique"])
@pytest.mark.parametrize("overlap", [False, True])
def test_slicer_opens_names_colours_terms_and_voxels(a_scene, tmp_path, orientation, overlap):
    grid = centred_grid(SHAPE_KJI, (4.1, 3.2, 5.7), centre_lps_mm=(-88.0, 45.0, 1203.0), orientation=orientation)
    ours = our_segments(overlap)
    segmentation = read_by_slicer(a_scene, write_seg_nrrd(tmp_path / "ours.seg.nrrd", ours, grid=grid))
    assert segmentation.GetNumberOfSegments() == 2
    assert segmentation.GetSourceRepresentationName() == "Binary labelmap"
    assert segmentation.GetNumberOfLayers() == (2 if overlap else 1)
    for n, expected in enumerate(ours):
        segment = segmentation.GetNthSegment(n)
        assert segment.GetName() == expected.label
        assert segment.GetColor() == pytest.approx(expected.color_rgb)
        value = vtk.reference("")
        assert segment.GetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), value)
        codes = str(value).split("~")
        assert codes[1].split("^")[1] == expected.terminology.category.value
        assert codes[2].split("^")[1] == expected.terminology.type.value
        found = world_points(segment.GetRepresentation("Binary labelmap"), segment.GetLabelValue())
        lps = np.stack([np.asarray(grid.ijk_to_lps @ (i, j, k, 1.0))[:3] for k, j, i in np.argwhere(expected.mask)])
        truth = np.array(sorted(np.round(lps * (-1, -1, 1), 2).tolist()))
        assert found.shape == truth.shape
        assert np.abs(found - truth).max() < 0.021


def test_slicer_reads_the_side_of_an_organ(a_scene, tmp_path):
    mask = our_segments(False)[0].mask
    organ = Segment("Left kidney", mask, terminology=ORGAN_TERMS["left kidney"])
    grid = centred_grid(SHAPE_KJI, (4.1, 3.2, 5.7), orientation="oblique")
    segmentation = read_by_slicer(a_scene, write_seg_nrrd(tmp_path / "o.seg.nrrd", [organ], grid=grid))
    value = vtk.reference("")
    segmentation.GetNthSegment(0).GetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), value)
    assert str(value).split("~")[3] == "SCT^7771000^Left"
