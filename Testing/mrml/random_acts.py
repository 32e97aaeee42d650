"""What seeded random tests share: somebody who acts at random, acts of others on the scene, and what must hold then."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

import numpy as np
import pytest
import slicer
from mrml_nodes import read_segment

FIDUCIALS = "vtkMRMLMarkupsFiducialNode"


class RandomActor:
    """Does one of its methods `do_...` at a time, those named in `OFTEN` as many times more often.

    Attributes:
        rng: Where all chance comes from.
        done: Name of an act -> how often it was done.
        past: The names in their order.
    """

    OFTEN: ClassVar[dict[str, float]] = {}

    def __init__(self, rng):
        self.rng = rng
        self.done, self.past = Counter(), []

    def chance(self, probability):
        return bool(self.rng.random() < probability)

    def possible(self):
        """The names of what can be done now."""
        return [name.removeprefix("do_") for name in dir(self) if name.startswith("do_")]

    def act(self, name=None):
        """Do this, or one thing by chance; returns its name."""
        if name is None:
            names = self.possible()
            weights = np.array([self.OFTEN.get(each, 1.0) for each in names])
            name = str(self.rng.choice(names, p=weights / weights.sum()))
        self.done[name] += 1
        self.past.append(name)
        getattr(self, f"do_{name}")()
        return name


def paint_a_cube(editor, rng):
    """Paint, as the Segment Editor does, where the selected lesion has a segment."""
    node, segment_id, volume = editor.segmentationNode, editor.selectedLesion, editor.volumeNode
    if segment_id is None or node is None or node.GetSegmentation().GetSegment(segment_id) is None:
        return
    mask = read_segment(node, segment_id, volume)
    k, j, i = rng.integers((0, 0, 0), np.array(mask.shape) - 3)
    mask[k : k + 3, j : j + 3, i : i + 3] ^= True
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), node, segment_id, volume)


def delete_a_segment(editor):
    """Delete the first segment, as in the Segment Editor."""
    node = editor.segmentationNode
    if node is not None and node.GetSegmentation().GetNumberOfSegments():
        node.GetSegmentation().RemoveSegment(node.GetSegmentation().GetNthSegmentID(0))


def assert_agreement(scene, editor):
    """Segments, markups, clicks and results say the same."""
    parameters = editor.parameterNode
    saved = {name.removeprefix("lesion.") for name in parameters.GetParameterNames() if name.startswith("lesion.")}
    known = {key for book in editor._books.values() for key in book.lesions}
    assert known <= saved  # lesions of a volume that was not worked on since the scene was opened are not loaded
    assert scene.GetNumberOfNodesByClass(FIDUCIALS) == 2 * len(saved)
    if editor.volumeNode is None:
        assert editor.rows == ()
        return
    everywhere = np.zeros(slicer.util.arrayFromVolume(editor.volumeNode).shape, dtype=bool)
    for lesion in editor._book.lesions.values():
        found = read_segment(editor.segmentationNode, lesion.segmentID, editor.volumeNode)
        np.testing.assert_array_equal(found, lesion.shown.to_array())
        assert lesion.request is None
        assert placed_points(lesion) == clicked_points(lesion)
        if lesion.state.result is not None:
            assert lesion.state.result.mask == lesion.shown
        everywhere |= found
    voxel_ml = np.prod(editor.volumeNode.GetSpacing()) / 1000
    assert editor.burden.mtv_ml == pytest.approx(everywhere.sum() * voxel_ml)
    assert editor.burden.tlg == pytest.approx(
        slicer.util.arrayFromVolume(editor.volumeNode)[everywhere].sum(dtype=np.float64) * voxel_ml
    )


def placed_points(lesion):
    """Position and sign of the control points of a lesion, LPS mm."""
    return {
        (*np.round(np.array(node.GetNthControlPointPositionWorld(n)) * [-1, -1, 1], 5) + 0.0, sign)
        for node, sign in zip(lesion.nodes.pointNodes, (True, False), strict=True)
        for n in range(node.GetNumberOfControlPoints())
        if node.GetNthControlPointPositionStatus(n) == node.PositionDefined
    }


def clicked_points(lesion):
    """Position and sign of the points among the clicks of a lesion, LPS mm."""
    points = [click.prompt for click in lesion.state.clicks if hasattr(click.prompt, "positive")]
    return {(*np.round(np.array(point.lps_mm), 5) + 0.0, point.positive) for point in points}
