import numpy as np
import pytest
import slicer
from mrml_nodes import GEOMETRIES, LPS_FROM_RAS, SHAPE_KJI, add_volume, geometry, put_under, set_units

from SegAnyPETLib.errors import GeometryError, SegAnyPETWarning, SUVError
from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.mrml.volumes import addVolumeNode, kindFromVolumeNode, suvVolumeFromNode
from SegAnyPETLib.suv import SUVVolume


@pytest.fixture
def values(rng):
    return rng.gamma(2.0, 1.5, SHAPE_KJI).astype(np.float32)


@pytest.mark.parametrize(("kind", "unit"), [("bw", "g/ml"), ("lbm", "g/ml"), ("bsa", "cm2/ml"), ("ibw", "g/ml")])
def test_units_on_the_node_tell_which_suv_it_holds(a_scene, values, kind, unit):
    image = suvVolumeFromNode(add_volume(a_scene, values, suv=kind))
    assert (image.kind, image.unit) == (kind, unit)
    np.testing.assert_array_equal(image.array, values)


def test_units_in_the_order_of_the_dicom_standard_are_understood(a_scene, values):
    node = add_volume(a_scene, values)
    set_units(node, "g/ml{SUVbw}", "UCUM")
    assert kindFromVolumeNode(node) == "bw"


def test_a_float_volume_is_not_copied_and_cannot_be_written_to(a_scene, values):
    node = add_volume(a_scene, values, suv="bw")
    image = suvVolumeFromNode(node)
    assert np.shares_memory(image.array, slicer.util.arrayFromVolume(node))
    assert not image.array.flags.writeable
    assert slicer.util.arrayFromVolume(node).flags.writeable


@pytest.mark.parametrize("dtype", [np.float64, np.int16])
def test_other_scalar_types_become_float32(a_scene, values, dtype):
    image = suvVolumeFromNode(add_volume(a_scene, values.astype(dtype), suv="bw"))
    assert image.array.dtype == np.float32
    np.testing.assert_array_equal(image.array, values.astype(dtype).astype(np.float32))


def test_a_node_without_units_needs_them_stated(a_scene, values):
    node = add_volume(a_scene, values)
    with pytest.raises(SUVError, match="does not say in which units"):
        suvVolumeFromNode(node)
    image = suvVolumeFromNode(node, kind="lbm")
    assert image.kind == "lbm"
    assert "stated" in image.provenance.source


def test_units_that_contradict_what_the_user_says_are_refused(a_scene, values):
    with pytest.raises(SUVError, match="SUVbw; SUVlbm was chosen"):
        suvVolumeFromNode(add_volume(a_scene, values, suv="bw"), kind="lbm")


@pytest.mark.parametrize("kind", [None, "bw"])
def test_a_volume_in_becquerel_is_refused_even_when_stated_to_be_suv(a_scene, values, kind):
    node = add_volume(a_scene, values)
    set_units(node, "Bq/ml", "UCUM")
    with pytest.raises(SUVError, match="Bq/ml"):
        suvVolumeFromNode(node, kind=kind)


def test_the_suv_volume_lies_in_the_world(a_scene, values):
    node = add_volume(a_scene, values, matrix=GEOMETRIES["oblique"], suv="bw")
    toWorld = put_under(a_scene, node, geometry(degrees=(3, 50, 8), spacing=(1, 1, 1)))
    expected = LPS_FROM_RAS @ toWorld @ GEOMETRIES["oblique"]
    np.testing.assert_allclose(suvVolumeFromNode(node).grid.ijk_to_lps, expected, atol=1e-9)


def test_voxels_that_are_not_finite_are_refused(a_scene, values):
    values[3, 4, 5] = np.nan
    with pytest.raises(SUVError, match="finite"):
        suvVolumeFromNode(add_volume(a_scene, values, suv="bw"))


def test_values_that_cannot_be_suv_are_refused_whatever_the_user_states(a_scene, values):
    with pytest.raises(SUVError, match="looks like Bq/ml"):
        suvVolumeFromNode(add_volume(a_scene, values * 5000), kind="bw")
    with pytest.raises(SUVError, match="like a CT"):
        suvVolumeFromNode(add_volume(a_scene, values * 300 - 1000), kind="bw")


def test_values_that_are_unusual_for_suv_are_pointed_out(a_scene, values):
    with pytest.warns(SegAnyPETWarning, match="unusually high"):
        image = suvVolumeFromNode(add_volume(a_scene, values * 10, suv="bw"))
    assert image.provenance.warnings


def test_flat_and_colour_volumes_are_refused(a_scene):
    with pytest.raises(GeometryError, match="3D volume"):
        suvVolumeFromNode(add_volume(a_scene, np.ones((1, 8, 9), np.float32), suv="bw"))
    rgb = slicer.util.addVolumeFromArray(np.ones((4, 5, 6, 3), np.float32), nodeClassName="vtkMRMLVectorVolumeNode")
    with pytest.raises(GeometryError, match="one component"):
        suvVolumeFromNode(rgb, kind="bw")


@pytest.mark.parametrize("kind", ["bw", "lbm", "bsa", "ibw"])
def test_an_suv_volume_survives_the_way_into_the_scene_and_back(a_scene, values, kind):
    direction = LPS_FROM_RAS[:3, :3] @ GEOMETRIES["oblique"][:3, :3] / [2.0, 2.5, 3.7]
    grid = Grid(SHAPE_KJI, (2.0, 2.5, 3.7), (12.0, -30.5, 411.0), tuple(map(tuple, direction)))
    node = addVolumeNode(a_scene, SUVVolume(values, grid, kind), name="PET")
    back = suvVolumeFromNode(node)
    assert back.kind == kind
    assert back.grid.is_close(grid, tolerance_mm=1e-9)
    np.testing.assert_array_equal(back.array, values)
    assert node.GetVoxelValueQuantity().GetCodeMeaning() == "Standardized Uptake Value"


def test_units_survive_saving_the_scene(a_scene, values, tmp_path):
    grid = Grid(SHAPE_KJI, (2.0, 2.5, 3.7), (12.0, -30.5, 411.0))
    addVolumeNode(a_scene, SUVVolume(values, grid, "lbm"), name="PET")
    a_scene.SetURL(str(tmp_path / "scene.mrml"))
    assert a_scene.Commit()
    again = slicer.vtkMRMLScene()
    again.SetURL(str(tmp_path / "scene.mrml"))
    again.Import()
    assert kindFromVolumeNode(again.GetFirstNodeByName("PET")) == "lbm"
