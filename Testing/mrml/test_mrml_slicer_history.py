"""The Segment Editor's history and ours, where its undo is pressed more than once before we look."""

import numpy as np
import pytest
import slicer
from lesion_scene import Desk, a_pet


@pytest.fixture
def a_desk(a_scene, rng):
    desk = Desk(a_pet(a_scene, rng))
    yield desk
    desk.editor.close()


@pytest.fixture
def slicers_history(a_desk):
    a_desk.editor.addLesion()
    history = slicer.vtkSegmentationHistory()
    history.SetMaximumNumberOfStates(200)
    history.SetSegmentation(a_desk.editor.segmentationNode.GetSegmentation())
    a_desk.editor.addBeforeChange(history.SaveState)
    return history


def clicks(desk):
    return [row.clicks for row in desk.editor.rows]


def settle(desk):
    """Look at once, as before anything a person does."""
    desk.editor.selectLesion(desk.editor.selectedLesion)


def test_three_undos_of_slicer_are_three_of_ours_with_their_points(a_desk, slicers_history):
    seen = []
    for kji in ((8, 10, 10), (12, 15, 18), (9, 18, 12), (14, 8, 20)):
        a_desk.click(kji)
        seen.append(a_desk.segment())
    for _ in range(3):
        assert slicers_history.RestorePreviousState()
    settle(a_desk)
    assert clicks(a_desk) == [1]
    np.testing.assert_array_equal(a_desk.segment(), seen[0])
    assert a_desk.editor.positiveNode.GetNumberOfControlPoints() == 1
    a_desk.editor.redo()
    assert clicks(a_desk) == [2]
    np.testing.assert_array_equal(a_desk.segment(), seen[1])
    a_desk.editor.undo()
    a_desk.editor.undo()
    assert clicks(a_desk) == [0]
    assert not a_desk.editor.canUndo


def test_two_redos_of_slicer_are_two_of_ours(a_desk, slicers_history):
    seen = []
    for kji in ((8, 10, 10), (12, 15, 18), (9, 18, 12)):
        a_desk.click(kji)
        seen.append(a_desk.segment())
    for _ in range(3):
        slicers_history.RestorePreviousState()
    settle(a_desk)
    assert clicks(a_desk) == [0]
    slicers_history.RestoreNextState()
    slicers_history.RestoreNextState()
    settle(a_desk)
    assert clicks(a_desk) == [2]
    np.testing.assert_array_equal(a_desk.segment(), seen[1])
    assert a_desk.editor.canRedo


def test_a_click_that_changed_no_voxel_is_taken_back_with_the_one_before(a_desk, slicers_history):
    a_desk.click((8, 10, 10))
    a_desk.click((8, 10, 10))  # the same ball again
    assert clicks(a_desk) == [2]
    slicers_history.RestorePreviousState()
    settle(a_desk)
    assert clicks(a_desk) == [0]
    assert not a_desk.segment().any()


def test_undos_over_two_lesions_take_back_the_lesion_that_was_added_between(a_desk, slicers_history):
    a_desk.click((8, 10, 10))
    a_desk.click((9, 18, 12))
    a_desk.editor.addLesion()
    a_desk.click((14, 8, 20))
    before = [a_desk.segment(row.segmentID) for row in a_desk.editor.rows]
    for _ in range(3):  # the click, the second lesion, the click before
        assert slicers_history.RestorePreviousState()
    settle(a_desk)
    assert clicks(a_desk) == [1]
    for _ in range(3):
        assert slicers_history.RestoreNextState()
    settle(a_desk)
    assert clicks(a_desk) == [2, 1]
    for row, mask in zip(a_desk.editor.rows, before, strict=True):
        np.testing.assert_array_equal(a_desk.segment(row.segmentID), mask)


def test_what_no_history_explains_is_an_edit(a_desk, slicers_history):
    a_desk.click((8, 10, 10))
    a_desk.click((12, 15, 18))
    slicers_history.RestorePreviousState()
    mask = a_desk.segment()
    mask[:2] = True
    segment = a_desk.editor.selectedLesion
    node = a_desk.editor.segmentationNode
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), node, segment, a_desk.volume)
    settle(a_desk)
    np.testing.assert_array_equal(a_desk.segment(), mask)
    assert clicks(a_desk) == [2]  # they stay; the next click continues from what was painted
    a_desk.editor.undo()
    assert clicks(a_desk) == [2]
    assert not a_desk.segment()[:2].any()
