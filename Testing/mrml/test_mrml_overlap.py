import numpy as np
import pytest
import slicer
from lesion_scene import SHAPE

from SegAnyPETLib.mrml import addSegment


@pytest.fixture
def two_lesions(a_desk):
    """Two lesions clicked so near that their balls meet, as a function of the rule for the second."""

    def make(rule):
        a_desk.click((10, 12, 12))
        first = a_desk.editor.selectedLesion
        a_desk.editor.overlap = rule
        second = a_desk.editor.addLesion()
        a_desk.click((10, 13, 16))
        return first, second, a_desk.engine.mask_of(a_desk.prompts)

    return make


def add_organ(desk, mask):
    """A painted segment that is no lesion."""
    node = desk.editor.segmentationNode
    segmentID = addSegment(node, name="Bladder")
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), node, segmentID, desk.volume)
    return segmentID


def test_keep_lets_both_lesions_hold_a_voxel(a_desk, two_lesions):
    first, second, predicted = two_lesions("keep")
    assert (a_desk.segment(first) & a_desk.segment(second)).any()
    np.testing.assert_array_equal(a_desk.segment(second), predicted)


def test_lock_leaves_the_other_lesion_its_voxels_and_measures_what_is_left(a_desk, two_lesions):
    first, second, predicted = two_lesions("lock")
    np.testing.assert_array_equal(a_desk.segment(second), predicted & ~a_desk.segment(first))
    a_desk.editor.tick()
    values = slicer.util.arrayFromVolume(a_desk.volume)[a_desk.segment(second)]
    assert a_desk.row(second).measures.voxel_count == len(values)
    assert a_desk.row(second).measures.suv_mean == pytest.approx(values.mean(dtype=float), rel=1e-6)


def test_overwrite_takes_voxels_from_the_other_lesion_and_undo_gives_them_back(a_desk, two_lesions):
    a_desk.click((10, 12, 12))
    alone = a_desk.segment()
    a_desk.editor.removeLesion(a_desk.editor.selectedLesion)
    first, second, predicted = two_lesions("overwrite")
    np.testing.assert_array_equal(a_desk.segment(second), predicted)
    np.testing.assert_array_equal(a_desk.segment(first), alone & ~predicted)
    for _ in range(3):
        a_desk.editor.tick()
    assert a_desk.row(first).measures.voxel_count == (alone & ~predicted).sum()
    a_desk.editor.undo()
    np.testing.assert_array_equal(a_desk.segment(first), alone)
    assert a_desk.row(first).measures.voxel_count == alone.sum()
    a_desk.editor.redo()
    np.testing.assert_array_equal(a_desk.segment(first), alone & ~predicted)
    np.testing.assert_array_equal(a_desk.segment(second), predicted)


@pytest.mark.parametrize("rule", ["keep", "lock", "overwrite"])
def test_a_painted_organ_is_respected_as_the_rule_says_and_undo_restores_it(a_desk, rule):
    organ = np.zeros(SHAPE, bool)
    organ[8:14, 10:20, 13:25] = True
    a_desk.editor.addLesion()
    organID = add_organ(a_desk, organ)
    a_desk.editor.overlap = rule
    a_desk.click((10, 12, 12))
    predicted = a_desk.engine.mask_of(a_desk.prompts)
    assert (predicted & organ).any()
    expected = {"keep": predicted, "lock": predicted & ~organ, "overwrite": predicted}
    np.testing.assert_array_equal(a_desk.segment(), expected[rule])
    np.testing.assert_array_equal(a_desk.segment(organID), organ & ~predicted if rule == "overwrite" else organ)
    a_desk.editor.undo()
    np.testing.assert_array_equal(a_desk.segment(organID), organ)
    assert not a_desk.segment().any()


def test_with_lock_a_later_click_still_shows_what_the_model_says_beside_the_others(a_desk, two_lesions):
    first, second, _ = two_lesions("lock")
    a_desk.click((14, 17, 22))
    predicted = a_desk.engine.mask_of(a_desk.prompts)
    np.testing.assert_array_equal(a_desk.segment(second), predicted & ~a_desk.segment(first))
