import numpy as np
import pytest
from lesion_scene import SHAPE, Desk, a_pet
from mrml_nodes import read_segment

from SegAnyPETLib.data.segment import LESION, LYMPH_NODE, Segment
from SegAnyPETLib.errors import GeometryError
from SegAnyPETLib.mrml import addSegmentedLesions, terminologyFromSegment


def block(low, high):
    mask = np.zeros(SHAPE, bool)
    mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return mask


def two_segments():
    return [
        Segment("Node", block((4, 5, 6), (7, 9, 11)), (0.2, 0.4, 0.6), LYMPH_NODE),
        Segment("Mass", block((12, 14, 18), (16, 18, 24)), (0.9, 0.1, 0.1), LESION),
    ]


@pytest.fixture
def a_volume(a_scene, rng):
    return a_pet(a_scene, rng)


def test_lesions_from_elsewhere_are_the_editors_without_asking_the_engine(a_volume):
    segments = two_segments()
    added = addSegmentedLesions(a_volume, segments)
    desk = Desk(a_volume)
    try:
        rows = desk.editor.rows
        assert [(row.name, row.segmentID, row.state, row.clicks) for row in rows] == [
            ("Node", added[0], "ready", 0),
            ("Mass", added[1], "ready", 0),
        ]
        node = desk.editor.segmentationNode
        for segment, row in zip(segments, rows, strict=True):
            np.testing.assert_array_equal(read_segment(node, row.segmentID, a_volume), segment.mask)
            np.testing.assert_allclose(row.colorRGB, segment.color_rgb, atol=1e-6)
            assert terminologyFromSegment(node, row.segmentID) == segment.terminology
        assert not desk.editor.canUndo
    finally:
        desk.editor.close()


def test_the_first_click_continues_from_the_mask_and_undo_brings_it_back(a_volume):
    mask = two_segments()[1].mask
    added = addSegmentedLesions(a_volume, two_segments())
    desk = Desk(a_volume)
    try:
        desk.editor.selectLesion(added[1])
        desk.click((13, 15, 20))
        np.testing.assert_array_equal(desk.prompts[0].mask, mask)
        desk.editor.undo()
        np.testing.assert_array_equal(read_segment(desk.editor.segmentationNode, added[1], a_volume), mask)
    finally:
        desk.editor.close()


def test_a_mask_of_another_shape_is_refused(a_volume):
    other = Segment("Other", np.ones((2, 3, 4), bool))
    with pytest.raises(GeometryError, match="shape"):
        addSegmentedLesions(a_volume, [other])


def test_no_lesions_add_no_segmentation(a_scene, a_volume):
    assert addSegmentedLesions(a_volume, []) == []
    assert a_scene.GetFirstNodeByClass("vtkMRMLSegmentationNode") is None
