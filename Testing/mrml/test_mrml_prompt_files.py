"""Prompt files as Slicer itself saves them, read by batch."""

import numpy as np
import pytest
import slicer
from mrml_nodes import GEOMETRIES, add_volume

from SegAnyPETLib.batch.prompting import request_lesions
from SegAnyPETLib.batch.settings import BatchSettings
from SegAnyPETLib.batch.study import FoundStudy
from SegAnyPETLib.mrml.frames import gridFromVolumeNode, lpsFromRAS
from SegAnyPETLib.mrml.lesion_clicks import setOrder
from SegAnyPETLib.mrml.lesion_nodes import addLesionNodes
from SegAnyPETLib.mrml.prompts import boxFromROI
from SegAnyPETLib.session.prompts import Box, Point
from SegAnyPETLib.suv import SUVVolume

STUDY = FoundStudy("1.2.3", "p", "", None, None, None, "")


@pytest.fixture
def a_volume(a_scene):
    return add_volume(a_scene, matrix=GEOMETRIES["oblique"])


def save(node, path):
    node.AddDefaultStorageNode()
    storage = node.GetStorageNode()
    storage.SetFileName(str(path))
    assert storage.WriteData(node)


def asked(path, volume):
    grid = gridFromVolumeNode(volume)
    image = SUVVolume(np.ones(grid.shape_kji, np.float32), grid)
    return request_lesions(STUDY, image, settings=BatchSettings(prompts=str(path))).lesions


def test_the_clicks_of_a_saved_scene_are_its_lesions_with_signs_in_the_order_they_were_given(a_volume, tmp_path):
    grid = gridFromVolumeNode(a_volume)
    nodes = addLesionNodes(a_volume, name="Läsion 3", key="abc")
    places = [tuple(grid.kji_to_lps(kji)) for kji in ((3, 4, 5), (6, 8, 7), (5, 9, 12))]
    signs = (True, False, True)
    for order, (place, positive) in enumerate(zip(places, signs, strict=True), start=1):
        node = nodes.positiveNode if positive else nodes.negativeNode
        node.AddControlPointWorld(*lpsFromRAS(place))
        setOrder(node, node.GetNthControlPointID(node.GetNumberOfControlPoints() - 1), order, positive=positive)
    (tmp_path / "1.2.3").mkdir()
    save(nodes.positiveNode, tmp_path / "1.2.3" / "a.mrk.json")
    save(nodes.negativeNode, tmp_path / "1.2.3" / "b.mrk.json")
    (lesion,) = asked(tmp_path, a_volume)
    assert lesion.label == "Läsion 3"
    for prompt, place, positive in zip(lesion.prompts, places, signs, strict=True):
        assert isinstance(prompt, Point)
        assert prompt.positive == positive
        np.testing.assert_allclose(prompt.lps_mm, place, atol=1e-3)


def test_points_that_a_person_placed_are_a_lesion_each(a_scene, a_volume, tmp_path):
    grid = gridFromVolumeNode(a_volume)
    node = a_scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "F")
    places = [tuple(grid.kji_to_lps(kji)) for kji in ((3, 4, 5), (6, 8, 7))]
    for place in places:
        node.AddControlPointWorld(*lpsFromRAS(place))
    node.AddControlPoint(0, 0, 0)
    node.UnsetNthControlPointPosition(2)
    save(node, tmp_path / "F.mrk.json")
    lesions = asked(tmp_path / "F.mrk.json", a_volume)
    assert [lesion.label for lesion in lesions] == ["F-1", "F-2"]
    for lesion, place in zip(lesions, places, strict=True):
        np.testing.assert_allclose(lesion.prompts[0].lps_mm, place, atol=1e-3)


def test_a_turned_roi_is_the_same_box_as_in_the_scene(a_scene, a_volume, tmp_path):
    grid = gridFromVolumeNode(a_volume)
    roi = a_scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Box")
    roi.SetSize(14, 22, 9)
    turn = np.eye(4)
    c, s = np.cos(0.5), np.sin(0.5)
    turn[:3, :3] = [[c, -s, 0], [s, c, 0], [0, 0, 1]]
    turn[:3, 3] = lpsFromRAS(grid.kji_to_lps((6, 8, 9)))
    roi.GetObjectToNodeMatrix().DeepCopy(slicer.util.vtkMatrixFromArray(turn))
    roi.SetSize(14, 22, 9)
    save(roi, tmp_path / "roi.mrk.json")
    (lesion,) = asked(tmp_path / "roi.mrk.json", a_volume)
    (box,) = lesion.prompts
    assert isinstance(box, Box)
    expected = boxFromROI(roi)
    np.testing.assert_allclose(box.lps_mm_min, expected.lps_mm_min, atol=1e-3)
    np.testing.assert_allclose(box.lps_mm_max, expected.lps_mm_max, atol=1e-3)
