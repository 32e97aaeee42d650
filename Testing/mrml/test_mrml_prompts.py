import numpy as np
import pytest
import slicer
import vtk
from mrml_nodes import (
    GEOMETRIES,
    LPS_FROM_RAS,
    add_segmentation,
    add_volume,
    geometry,
    put_under,
    put_under_nonlinear,
    sphere,
)

from SegAnyPETLib.errors import GeometryError, PromptError
from SegAnyPETLib.mrml.frames import gridFromVolumeNode
from SegAnyPETLib.mrml.prompts import boxFromROI, pointsFromMarkups, seedFromSegment

TILT = geometry(degrees=(11, 23, -5), spacing=(1, 1, 1), origin=(12.0, -7.0, 3.0))
STRETCH = np.diag([2.0, 0.5, 1.0, 1.0])


@pytest.fixture
def points(a_scene):
    node = a_scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Lesion points")
    node.AddControlPoint(vtk.vtkVector3d(10, -20, 30), "one")
    node.AddControlPoint(vtk.vtkVector3d(-5, 7, 11), "two")
    return node


@pytest.fixture
def roi(a_scene):
    node = a_scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Box")
    node.SetCenter((10, -20, 30))
    node.SetSize((8, 12, 20))
    return node


def positions(placed):
    return [point.prompt.lps_mm for point in placed]


def test_control_points_become_points_in_lps_in_the_order_of_the_list(points):
    placed = pointsFromMarkups(points, positive=True)
    assert positions(placed) == [(-10, 20, 30), (5, -7, 11)]
    assert all(point.prompt.positive for point in placed)
    assert not pointsFromMarkups(points, positive=False)[0].prompt.positive


def test_control_points_under_nested_transforms_are_taken_at_their_world_place(a_scene, points):
    toWorld = put_under(a_scene, points, TILT, STRETCH)
    expected = (LPS_FROM_RAS @ toWorld @ [10, -20, 30, 1])[:3]
    np.testing.assert_allclose(positions(pointsFromMarkups(points, positive=True))[0], expected, atol=1e-9)


def test_control_points_under_a_bending_transform_are_taken_at_their_world_place(a_scene, points):
    transform = put_under_nonlinear(a_scene, points)
    expected = np.array(transform.GetTransformToParent().TransformPoint((10.0, -20.0, 30.0))) * [-1, -1, 1]
    np.testing.assert_allclose(positions(pointsFromMarkups(points, positive=True))[0], expected, atol=1e-6)


def test_points_that_are_not_placed_are_left_out(points):
    points.UnsetNthControlPointPosition(0)
    points.AddControlPoint(vtk.vtkVector3d(1, 2, 3), "missing")
    points.SetNthControlPointPositionMissing(2)
    points.AddControlPoint(vtk.vtkVector3d(4, 5, 6), "preview")
    points.SetNthControlPointPosition(3, (4, 5, 6), slicer.vtkMRMLMarkupsNode.PositionPreview)
    assert positions(pointsFromMarkups(points, positive=True)) == [(5, -7, 11)]


def test_a_point_keeps_its_id_when_it_is_moved_and_others_are_deleted(points):
    before = pointsFromMarkups(points, positive=True)[1]
    points.RemoveNthControlPoint(0)
    points.SetNthControlPointPosition(0, (1, 1, 1))
    (after,) = pointsFromMarkups(points, positive=True)
    assert (after.nodeID, after.controlPointID) == (before.nodeID, before.controlPointID)
    assert after.prompt != before.prompt


def test_an_upright_roi_becomes_its_own_box(roi):
    box = boxFromROI(roi)
    assert box.lps_mm_min == pytest.approx((-14, 14, 20))
    assert box.lps_mm_max == pytest.approx((-6, 26, 40))


@pytest.mark.parametrize("how", ["its own axes", "a transform", "a stretching transform"])
def test_a_rotated_roi_becomes_the_box_around_its_corners(a_scene, roi, how):
    corners = np.array([[i, j, k, 1] for i in (6, 14) for j in (-26, -14) for k in (20, 40)], dtype=float)
    if how == "its own axes":
        turn = geometry(degrees=(0, 0, 30), spacing=(1, 1, 1), origin=(10, -20, 30))
        roi.SetAndObserveObjectToNodeMatrix(slicer.util.vtkMatrixFromArray(turn))
        toWorld = turn @ geometry(spacing=(1, 1, 1), origin=(-10, 20, -30))
    else:
        toWorld = put_under(a_scene, roi, TILT, *([STRETCH] if how == "a stretching transform" else []))
    lps = (corners @ (LPS_FROM_RAS @ toWorld).T)[:, :3]
    box = boxFromROI(roi)
    np.testing.assert_allclose(box.lps_mm_min, lps.min(axis=0), atol=1e-6)
    np.testing.assert_allclose(box.lps_mm_max, lps.max(axis=0), atol=1e-6)


def test_a_roi_that_is_not_drawn_or_means_its_outside_is_refused(a_scene, roi):
    with pytest.raises(PromptError, match="Draw it"):
        boxFromROI(a_scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Nothing"))
    roi.SetInsideOut(True)
    with pytest.raises(PromptError, match="inside out"):
        boxFromROI(roi)


def test_a_roi_under_a_nonlinear_transform_is_refused(a_scene, roi):
    put_under_nonlinear(a_scene, roi)
    with pytest.raises(GeometryError, match="Harden"):
        boxFromROI(roi)


def test_a_segment_becomes_a_seed_on_the_volumes_grid(a_scene):
    volume = add_volume(a_scene, matrix=GEOMETRIES["oblique"])
    matrix = put_under(a_scene, volume, TILT) @ GEOMETRIES["oblique"]
    grid = gridFromVolumeNode(volume)
    mask = sphere(matrix, centre_lps=grid.kji_to_lps([6, 8, 11]), radius_mm=10)
    node, (segmentID,) = add_segmentation(a_scene, volume, [mask])
    np.testing.assert_array_equal(seedFromSegment(node, segmentID, grid=grid).mask, mask)


def test_a_segment_outside_the_volume_is_no_seed(a_scene):
    volume = add_volume(a_scene)
    far = add_volume(a_scene, matrix=geometry(origin=(500, 500, 500)), name="far")
    node, (segmentID,) = add_segmentation(a_scene, far, [np.ones((14, 18, 22), bool)])
    with pytest.raises(PromptError, match="no voxel in it"):
        seedFromSegment(node, segmentID, grid=gridFromVolumeNode(volume))
