import numpy as np
import pytest
import slicer
import vtk
from lesion_scene import Desk, a_pet
from mrml_nodes import GEOMETRIES, add_volume, geometry, set_units

from SegAnyPETLib.mrml import choosePETVolume, findCT, showPET


@pytest.fixture
def a_slice_composite(a_scene):
    """What one slice view shows."""
    return a_scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode", "Red")


def add_ct(scene, *, matrix=None, name="3: thorax"):
    values = np.full((14, 18, 22), -1000, np.int16)
    values[5:9] = 60
    return add_volume(scene, values, matrix=matrix, name=name)


def matrix_of(node):
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def test_the_volume_with_suv_units_is_the_pet_whatever_its_name(a_scene, rng):
    add_volume(a_scene, name="PET report snapshot")
    pet = a_pet(a_scene, rng, name="4: WB")
    assert choosePETVolume(a_scene) is pet


def test_without_units_the_modality_decides_and_then_the_name(a_scene):
    add_ct(a_scene, name="CT AC")
    named = add_volume(a_scene, name="Patient 3 PET wb")
    assert choosePETVolume(a_scene) is named
    tagged = add_volume(a_scene, name="unnamed")
    tagged.SetAttribute("DICOM.Modality", "PT")
    assert choosePETVolume(a_scene) is tagged


@pytest.mark.parametrize("name", ["carpet", "petal", "optics", "script", "CT"])
def test_a_name_that_only_contains_the_letters_is_no_pet(a_scene, name):
    add_volume(a_scene, name=name)
    assert choosePETVolume(a_scene) is None


def test_a_volume_in_other_units_is_no_pet(a_scene):
    set_units(add_volume(a_scene, name="PET"), "Bq/ml", "UCUM")
    assert choosePETVolume(a_scene) is None


def test_label_maps_and_our_own_overlay_are_no_pet(a_scene, rng):
    slicer.util.addVolumeFromArray(
        np.zeros((4, 5, 6), np.uint8), name="PET labels", nodeClassName="vtkMRMLLabelMapVolumeNode"
    )
    desk = Desk(a_pet(a_scene, rng, name="x"))
    desk.click((8, 10, 10))
    desk.editor.showUncertainty(True)
    desk.editor.tick()
    assert choosePETVolume(a_scene) is desk.volume
    desk.editor.close()


def test_the_ct_that_covers_the_pet_is_found(a_scene, rng):
    pet = a_pet(a_scene, rng)
    far = add_ct(a_scene, matrix=geometry(origin=(5000.0, 0.0, 0.0)))
    assert findCT(a_scene, pet) is None
    near = add_ct(a_scene, matrix=GEOMETRIES["oblique"])
    assert findCT(a_scene, pet) is near
    assert far.GetScene() is a_scene


def test_an_mr_is_not_taken_for_a_ct(a_scene, rng):
    pet = a_pet(a_scene, rng)
    mr = add_ct(a_scene, matrix=GEOMETRIES["oblique"], name="CT-like MR")
    mr.SetAttribute("DICOM.Modality", "MR")
    assert findCT(a_scene, pet) is None


def test_a_pet_alone_is_shown_in_inverted_grey_from_suv_0_to_10(a_scene, rng, a_slice_composite):
    pet = a_pet(a_scene, rng)
    showPET(pet)
    display = pet.GetDisplayNode()
    assert (display.GetWindow(), display.GetLevel()) == (10.0, 5.0)
    assert not display.GetAutoWindowLevel()
    table, low, high = display.GetColorNode().GetLookupTable(), [0.0] * 3, [0.0] * 3
    table.GetColor(table.GetRange()[0], low)
    table.GetColor(table.GetRange()[1], high)
    assert min(low) > 0.95
    assert max(high) < 0.05
    assert a_slice_composite.GetBackgroundVolumeID() == pet.GetID()
    assert not a_slice_composite.GetForegroundVolumeID()


def test_a_pet_with_a_ct_lies_over_it_at_half_opacity_in_colours(a_scene, rng, a_slice_composite):
    pet, ct = a_pet(a_scene, rng), add_ct(a_scene, matrix=GEOMETRIES["oblique"])
    showPET(pet, ctNode=ct)
    assert a_slice_composite.GetBackgroundVolumeID() == ct.GetID()
    assert a_slice_composite.GetForegroundVolumeID() == pet.GetID()
    assert a_slice_composite.GetForegroundOpacity() == 0.5
    assert "PET" in pet.GetDisplayNode().GetColorNode().GetName()


def test_the_uncertainty_lies_where_its_voxels_are_and_is_removed_again(a_scene, rng, a_slice_composite):
    desk = Desk(a_pet(a_scene, rng))
    ct = add_ct(a_scene, matrix=GEOMETRIES["oblique"])
    showPET(desk.volume, ctNode=ct)
    shown = (a_slice_composite.GetBackgroundVolumeID(), a_slice_composite.GetForegroundVolumeID())
    desk.click((10, 12, 14))
    desk.editor.showUncertainty(True)
    desk.editor.tick()
    overlay = a_scene.GetNodeByID(a_slice_composite.GetForegroundVolumeID())
    assert overlay.GetAttribute("SegAnyPET.overlay") == "uncertainty"
    assert a_slice_composite.GetBackgroundVolumeID() == desk.volume.GetID()
    assert not overlay.GetSaveWithScene()
    bits = slicer.util.arrayFromVolume(overlay)
    (answer,) = desk.engine._answers.values()
    k, j, i = np.unravel_index(bits.argmax(), bits.shape)
    place = np.linalg.inv(matrix_of(desk.volume)) @ matrix_of(overlay) @ (i, j, k, 1)
    brightest = answer.uncertainty[tuple(np.rint(place[2::-1]).astype(int))]
    assert brightest == bits.max() > 0.9
    np.testing.assert_allclose(place, np.rint(place), atol=1e-6)
    count = a_scene.GetNumberOfNodes()
    desk.editor.showUncertainty(False)
    assert (a_slice_composite.GetBackgroundVolumeID(), a_slice_composite.GetForegroundVolumeID()) == shown
    assert a_slice_composite.GetForegroundOpacity() == 0.5
    assert a_scene.GetNumberOfNodes() == count - 2  # the volume and its display
    desk.editor.close()


def test_the_uncertainty_follows_clicks_lesions_and_undo(a_scene, rng, a_slice_composite):
    desk = Desk(a_pet(a_scene, rng))
    desk.editor.showUncertainty(True)
    desk.click((10, 12, 14))
    desk.editor.tick()
    first = slicer.util.arrayFromVolume(a_scene.GetNodeByID(a_slice_composite.GetForegroundVolumeID())).copy()
    mask = desk.segment()
    desk.click((14, 17, 22))
    desk.editor.tick()
    second = slicer.util.arrayFromVolume(a_scene.GetNodeByID(a_slice_composite.GetForegroundVolumeID()))
    assert first.shape != second.shape or not np.array_equal(first, second)
    desk.editor.undo()
    for _ in range(3):
        desk.editor.tick()
    again = slicer.util.arrayFromVolume(a_scene.GetNodeByID(a_slice_composite.GetForegroundVolumeID()))
    np.testing.assert_array_equal(again, first)
    np.testing.assert_array_equal(desk.segment(), mask)
    desk.editor.addLesion()  # nothing is known of it
    assert not a_slice_composite.GetForegroundVolumeID()
    desk.editor.close()
