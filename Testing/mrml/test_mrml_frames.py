import numpy as np
import pytest
import slicer
import vtk
from mrml_nodes import (
    GEOMETRIES,
    LPS_FROM_RAS,
    SHAPE_KJI,
    add_volume,
    geometry,
    put_under,
    put_under_nonlinear,
    voxel_centres_lps,
)

from SegAnyPETLib.errors import GeometryError
from SegAnyPETLib.mrml.frames import gridFromVolumeNode, hasLinearTransformToWorld, lpsFromRAS

TILT = geometry(degrees=(11, 23, -5), spacing=(1, 1, 1), origin=(12.0, -7.0, 3.0))
TURN = geometry(degrees=(0, 0, 35), spacing=(1, 1, 1), origin=(-3.0, 40.0, 8.0))


def centres(grid):
    k, j, i = np.meshgrid(*[np.arange(n) for n in grid.shape_kji], indexing="ij")
    return grid.kji_to_lps(np.stack([k, j, i], axis=-1))


@pytest.mark.parametrize("name", GEOMETRIES)
def test_grid_of_a_volume_has_every_voxel_where_slicer_has_it(a_scene, name):
    node = add_volume(a_scene, matrix=GEOMETRIES[name])
    np.testing.assert_allclose(centres(gridFromVolumeNode(node)), voxel_centres_lps(GEOMETRIES[name]), atol=1e-9)


def test_nested_linear_transforms_move_the_grid_to_the_world(a_scene):
    node = add_volume(a_scene, matrix=GEOMETRIES["oblique"])
    toWorld = put_under(a_scene, node, TILT, TURN)
    np.testing.assert_allclose(toWorld, TILT @ TURN, atol=1e-12)
    expected = voxel_centres_lps(toWorld @ GEOMETRIES["oblique"])
    np.testing.assert_allclose(centres(gridFromVolumeNode(node)), expected, atol=1e-9)


def test_a_point_that_slicer_transforms_to_the_world_is_the_grids_point(a_scene):
    node = add_volume(a_scene, matrix=GEOMETRIES["oblique"])
    put_under(a_scene, node, TILT, TURN)
    transform = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(node.GetParentTransformNode(), None, transform)
    ras = transform.TransformPoint((GEOMETRIES["oblique"] @ [3, 4, 5, 1])[:3])
    lps = (LPS_FROM_RAS @ [*ras, 1])[:3]
    np.testing.assert_allclose(gridFromVolumeNode(node).lps_to_kji(lps), [5, 4, 3], atol=1e-9)


def test_scaling_along_the_image_axes_changes_the_spacing(a_scene):
    node = add_volume(a_scene, matrix=geometry(spacing=(2, 2.5, 4)))
    put_under(a_scene, node, np.diag([1.5, 1.0, 0.5, 1.0]))
    assert gridFromVolumeNode(node).spacing_ijk_mm == pytest.approx((3.0, 2.5, 2.0))


def test_a_transform_that_shears_the_volume_is_refused_by_name(a_scene):
    node = add_volume(a_scene, matrix=GEOMETRIES["oblique"], name="Tilted PET")
    put_under(a_scene, node, np.diag([1.5, 1.0, 1.0, 1.0]))
    with pytest.raises(GeometryError, match=r"(?s)Tilted PET.*perpendicular"):
        gridFromVolumeNode(node)


def test_a_nonlinear_transform_is_refused_with_the_offer_to_harden(a_scene):
    node = add_volume(a_scene)
    put_under_nonlinear(a_scene, node)
    assert not hasLinearTransformToWorld(node)
    with pytest.raises(GeometryError, match=r"'Bend'.*Harden"):
        gridFromVolumeNode(node)
    node.HardenTransform()
    assert hasLinearTransformToWorld(node)
    assert gridFromVolumeNode(node).spacing_ijk_mm == pytest.approx((2.0, 2.5, 3.7))


def test_an_empty_volume_node_is_refused(a_scene):
    node = a_scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Nothing")
    with pytest.raises(GeometryError, match=r"'Nothing' holds none"):
        gridFromVolumeNode(node)


def test_an_extent_that_does_not_start_at_zero_shifts_the_grid(a_scene):
    node = add_volume(a_scene, matrix=GEOMETRIES["oblique"])
    node.GetImageData().SetExtent(3, 3 + SHAPE_KJI[2] - 1, -2, -2 + SHAPE_KJI[1] - 1, 5, 5 + SHAPE_KJI[0] - 1)
    expected = (LPS_FROM_RAS @ GEOMETRIES["oblique"] @ [3, -2, 5, 1])[:3]
    np.testing.assert_allclose(gridFromVolumeNode(node).origin_lps_mm, expected, atol=1e-9)


def test_ras_to_lps_turns_points_and_matrices_and_is_its_own_inverse(rng):
    points = rng.normal(size=(4, 3))
    np.testing.assert_array_equal(lpsFromRAS(points), points * [-1, -1, 1])
    np.testing.assert_array_equal(lpsFromRAS(lpsFromRAS(points)), points)
    np.testing.assert_array_equal(lpsFromRAS(np.eye(4)), LPS_FROM_RAS)
