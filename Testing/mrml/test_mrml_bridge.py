import threading

import numpy as np
import pytest
import slicer
import vtk
from ball_model import BallModel
from mrml_nodes import (
    GEOMETRIES,
    add_segmentation,
    add_volume,
    geometry,
    put_under,
    put_under_nonlinear,
    read_segment,
    sphere,
)

from SegAnyPETLib.data.segment import LESION, LYMPH_NODE
from SegAnyPETLib.errors import GeometryError, PredictionCancelled, PromptError, SessionError
from SegAnyPETLib.mrml import SegmentationBridge, gridFromVolumeNode, terminologyFromSegment
from SegAnyPETLib.session import InteractiveSession

SHAPE = (22, 26, 30)
TILT = geometry(degrees=(11, 23, -5), spacing=(1, 1, 1), origin=(12.0, -7.0, 3.0))
TURN = geometry(degrees=(0, 0, 35), spacing=(1, 1, 1), origin=(-3.0, 40.0, 8.0))
RADIUS_MM = 12.0


@pytest.fixture
def a_volume(a_scene, rng):
    return add_volume(a_scene, rng.random(SHAPE, dtype=np.float32), matrix=GEOMETRIES["oblique"], suv="bw")


def a_bridge_to(volume, **options):
    bridge = SegmentationBridge(InteractiveSession(BallModel(radius_mm=RADIUS_MM)), volume, **options)
    scene = volume.GetScene()
    bridge.positiveNode = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "lesion")
    bridge.negativeNode = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "background")
    return bridge


@pytest.fixture
def a_bridge(a_volume):
    return a_bridge_to(a_volume)


def click(node, volume, kji):
    """Place a control point at the world position of a voxel index."""
    lps = gridFromVolumeNode(volume).kji_to_lps(kji)
    return node.AddControlPointWorld(vtk.vtkVector3d(*(lps * [-1, -1, 1])))


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def segment_of(bridge):
    return read_segment(bridge.segmentationNode, bridge.segmentID, bridge.volumeNode)


@pytest.mark.parametrize("transforms", [(), (TILT,), (TILT, TURN)], ids=["in the world", "transformed", "nested"])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_a_click_gives_the_analytic_sphere_at_its_world_place(a_scene, rng, name, transforms):
    volume = add_volume(a_scene, rng.random(SHAPE, dtype=np.float32), matrix=GEOMETRIES[name], suv="bw")
    matrix = put_under(a_scene, volume, *transforms) @ GEOMETRIES[name]
    bridge = a_bridge_to(volume)
    click(bridge.positiveNode, volume, (10.2, 12.7, 14.1))
    prediction = bridge.predict()
    centre = gridFromVolumeNode(volume).kji_to_lps((10.2, 12.7, 14.1))
    ideal = sphere(matrix, centre_lps=centre, radius_mm=RADIUS_MM, shape_kji=SHAPE)
    assert dice(segment_of(bridge), ideal) > 0.93
    np.testing.assert_array_equal(segment_of(bridge), prediction.mask)


def test_points_under_their_own_transform_count_at_their_world_place(a_scene, a_volume, a_bridge):
    put_under(a_scene, a_bridge.positiveNode, TILT)
    click(a_bridge.positiveNode, a_volume, (10, 12, 14))
    a_bridge.predict()
    centre = gridFromVolumeNode(a_volume).kji_to_lps((10, 12, 14))
    ideal = sphere(GEOMETRIES["oblique"], centre_lps=centre, radius_mm=RADIUS_MM, shape_kji=SHAPE)
    assert dice(segment_of(a_bridge), ideal) > 0.93


def test_a_negative_point_takes_away_and_the_segment_is_as_if_written_whole(a_volume, a_bridge):
    for kji in ((10, 12, 12), (11, 13, 17)):
        click(a_bridge.positiveNode, a_volume, kji)
        a_bridge.predict()
    before = segment_of(a_bridge)
    click(a_bridge.negativeNode, a_volume, (11, 13, 17))
    prediction = a_bridge.predict()
    after = segment_of(a_bridge)
    assert before[11, 13, 17]
    assert not after[11, 13, 17]
    np.testing.assert_array_equal(after, prediction.mask)


def test_only_the_changed_box_is_rewritten(a_volume, a_bridge):
    click(a_bridge.positiveNode, a_volume, (5, 6, 6))
    a_bridge.predict()
    painted = segment_of(a_bridge)
    painted[20, 24, 28] = True  # the user paints far away
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        painted.astype(np.uint8), a_bridge.segmentationNode, a_bridge.segmentID, a_volume
    )
    click(a_bridge.positiveNode, a_volume, (6, 7, 10))
    prediction = a_bridge.predict()
    after = segment_of(a_bridge)
    assert after[20, 24, 28]
    after[20, 24, 28] = False
    np.testing.assert_array_equal(after, prediction.mask)


def test_clicks_in_turn_on_both_lists_keep_their_order(a_volume, a_bridge):
    signs = []
    for kji, positive in (((10, 12, 12), True), ((12, 12, 18), False), ((9, 12, 16), True)):
        click(a_bridge.positiveNode if positive else a_bridge.negativeNode, a_volume, kji)
        assert a_bridge.updateFromMarkups()
        signs.append(positive)
    assert [prompt.positive for prompt in a_bridge.session.prompts] == signs
    assert not a_bridge.updateFromMarkups()


def test_clicks_seen_at_once_come_as_roi_positive_negative(a_scene, a_volume, a_bridge):
    click(a_bridge.negativeNode, a_volume, (12, 12, 18))
    click(a_bridge.positiveNode, a_volume, (10, 12, 12))
    a_bridge.roiNode = a_scene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    centre = gridFromVolumeNode(a_volume).kji_to_lps((10, 12, 14)) * [-1, -1, 1]
    a_bridge.roiNode.SetCenter(centre)
    a_bridge.roiNode.SetSize(30, 30, 30)
    a_bridge.updateFromMarkups()
    kinds = [(type(prompt).__name__, getattr(prompt, "positive", None)) for prompt in a_bridge.session.prompts]
    assert kinds == [("Box", None), ("Point", True), ("Point", False)]


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_moved_point_gives_the_mask_of_clicking_there_at_once(a_scene, a_volume, which):
    kji = [(8, 10, 10), (12, 15, 18), (10, 9, 20)]
    moved, direct = a_bridge_to(a_volume), a_bridge_to(a_volume)
    for place in kji:
        click(moved.positiveNode, a_volume, place)
        moved.predict()
    lps = gridFromVolumeNode(a_volume).kji_to_lps((14, 14, 14))
    moved.positiveNode.SetNthControlPointPositionWorld(which, lps * [-1, -1, 1])
    moved.predict()
    kji[which] = (14, 14, 14)
    for place in kji:
        click(direct.positiveNode, a_volume, place)
    direct.predict()
    assert moved.session.prompts == direct.session.prompts
    np.testing.assert_array_equal(segment_of(moved), segment_of(direct))


def test_a_deleted_point_is_undone_and_the_segment_follows(a_volume, a_bridge):
    click(a_bridge.positiveNode, a_volume, (8, 10, 10))
    a_bridge.predict()
    first = segment_of(a_bridge)
    click(a_bridge.positiveNode, a_volume, (14, 17, 22))
    a_bridge.predict()
    a_bridge.positiveNode.RemoveNthControlPoint(1)
    a_bridge.predict()
    np.testing.assert_array_equal(segment_of(a_bridge), first)


def test_without_points_the_segment_is_empty_and_the_user_is_told(a_volume, a_bridge):
    click(a_bridge.positiveNode, a_volume, (8, 10, 10))
    a_bridge.predict()
    a_bridge.positiveNode.RemoveAllControlPoints()
    with pytest.raises(SessionError, match="Place a point"):
        a_bridge.predict()
    assert not segment_of(a_bridge).any()


def test_asking_without_points_adds_nothing_to_the_scene(a_scene, a_bridge):
    count = a_scene.GetNumberOfNodes()
    with pytest.raises(SessionError, match="Place a point"):
        a_bridge.predict()
    assert a_scene.GetNumberOfNodes() == count


def test_a_click_outside_the_volume_is_refused_and_the_segment_stays(a_volume, a_bridge):
    click(a_bridge.positiveNode, a_volume, (8, 10, 10))
    a_bridge.predict()
    before = segment_of(a_bridge)
    click(a_bridge.positiveNode, a_volume, (8, 10, 31))
    with pytest.raises(PromptError, match="outside"):
        a_bridge.predict()
    np.testing.assert_array_equal(segment_of(a_bridge), before)
    a_bridge.positiveNode.RemoveNthControlPoint(1)
    a_bridge.predict()
    np.testing.assert_array_equal(segment_of(a_bridge), before)


def test_a_cancelled_prediction_leaves_the_segment(a_volume, a_bridge):
    click(a_bridge.positiveNode, a_volume, (8, 10, 10))
    a_bridge.predict()
    before = segment_of(a_bridge)
    click(a_bridge.positiveNode, a_volume, (12, 15, 18))
    stop = threading.Event()
    stop.set()
    with pytest.raises(PredictionCancelled):
        a_bridge.predict(cancel=stop)
    np.testing.assert_array_equal(segment_of(a_bridge), before)
    prediction = a_bridge.predict()
    np.testing.assert_array_equal(segment_of(a_bridge), prediction.mask)


def test_other_segments_are_never_overwritten(a_scene, a_volume):
    organ = np.ones(SHAPE, bool)
    node, (organID,) = add_segmentation(a_scene, a_volume, [organ])
    bridge = a_bridge_to(a_volume, segmentationNode=node)
    for kji in ((8, 10, 10), (12, 15, 18)):
        click(bridge.positiveNode, a_volume, kji)
        bridge.predict()
    click(bridge.negativeNode, a_volume, (10, 12, 13))
    prediction = bridge.predict()
    np.testing.assert_array_equal(read_segment(node, organID, a_volume), organ)
    np.testing.assert_array_equal(segment_of(bridge), prediction.mask)


def test_an_existing_segment_is_a_seed_and_is_then_refined(a_scene, a_volume):
    centre = gridFromVolumeNode(a_volume).kji_to_lps((10, 12, 14))
    old = sphere(GEOMETRIES["oblique"], centre_lps=centre, radius_mm=9, shape_kji=SHAPE)
    node, (segmentID,) = add_segmentation(a_scene, a_volume, [old])
    bridge = a_bridge_to(a_volume, segmentationNode=node, segmentID=segmentID)
    bridge.useSeed(node, segmentID)
    bridge.predict()
    assert (
        dice(segment_of(bridge), sphere(GEOMETRIES["oblique"], centre_lps=centre, radius_mm=12, shape_kji=SHAPE)) > 0.8
    )
    prompts = bridge.session.prompts
    assert not bridge.updateFromMarkups()  # our own writing does not change the seed
    assert bridge.session.prompts == prompts


def test_the_next_lesion_of_a_volume_encodes_no_region_twice(a_volume, a_bridge):
    click(a_bridge.positiveNode, a_volume, (10, 12, 14))
    a_bridge.predict()
    encoded, firstID, first = a_bridge.session.model.encoded, a_bridge.segmentID, segment_of(a_bridge)
    a_bridge.positiveNode = a_volume.GetScene().AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    a_bridge.startSegment()
    click(a_bridge.positiveNode, a_volume, (10, 12, 14))
    a_bridge.predict()
    assert a_bridge.session.model.encoded == encoded
    assert a_bridge.segmentID != firstID
    np.testing.assert_array_equal(read_segment(a_bridge.segmentationNode, firstID, a_volume), first)


def test_new_segments_have_name_colour_and_terminology(a_volume, a_bridge):
    click(a_bridge.positiveNode, a_volume, (10, 12, 14))
    a_bridge.predict()
    assert a_bridge.segmentName == "Lesion 1"
    assert terminologyFromSegment(a_bridge.segmentationNode, a_bridge.segmentID) == LESION
    colours = [a_bridge.segmentationNode.GetSegmentation().GetSegment(a_bridge.segmentID).GetColor()]
    a_bridge.terminology = LYMPH_NODE
    a_bridge.startSegment()
    a_bridge.predict()
    colours.append(a_bridge.segmentationNode.GetSegmentation().GetSegment(a_bridge.segmentID).GetColor())
    assert terminologyFromSegment(a_bridge.segmentationNode, a_bridge.segmentID) == LYMPH_NODE
    assert colours[0] != colours[1]


def test_moving_the_volume_moves_the_click_relative_to_it(a_scene, a_volume, a_bridge):
    click(a_bridge.positiveNode, a_volume, (10, 12, 14))
    a_bridge.predict()
    shift = np.eye(4)
    shift[:3, 3] = GEOMETRIES["oblique"][:3, :3] @ [4, 0, 0]  # four voxels along i
    put_under(a_scene, a_volume, shift)
    a_bridge.segmentationNode.SetAndObserveTransformNodeID(a_volume.GetTransformNodeID())
    prediction = a_bridge.predict()
    np.testing.assert_array_equal(segment_of(a_bridge), prediction.mask)
    centre = np.argwhere(prediction.mask).mean(axis=0)
    np.testing.assert_allclose(centre, (10, 12, 10), atol=0.5)


def test_changed_voxels_reach_the_session(a_volume, a_bridge):
    click(a_bridge.positiveNode, a_volume, (10, 12, 14))
    a_bridge.predict()
    encoded = a_bridge.session.model.encoded
    slicer.util.updateVolumeFromArray(a_volume, np.full(SHAPE, 2.0, np.float32))
    assert a_bridge.updateFromMarkups()
    a_bridge.predict()
    assert a_bridge.session.model.encoded > encoded
    assert a_bridge.image.array.max() == 2.0


def test_a_volume_under_a_nonlinear_transform_is_refused(a_scene, a_volume, a_bridge):
    click(a_bridge.positiveNode, a_volume, (10, 12, 14))
    put_under_nonlinear(a_scene, a_volume)
    with pytest.raises(GeometryError, match="Harden"):
        a_bridge.predict()


def test_an_empty_segmentation_is_fitted_to_the_volume_and_a_used_one_is_left(a_scene, a_volume):
    put_under(a_scene, a_volume, TILT)
    node = a_scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "made in a selector")
    bridge = a_bridge_to(a_volume, segmentationNode=node)
    click(bridge.positiveNode, a_volume, (10, 12, 14))
    bridge.predict()
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    assert node.GetNodeReference(role) is a_volume
    assert node.GetTransformNodeID() == a_volume.GetTransformNodeID()
    assert node.GetDisplayNode() is not None

    used, _ = add_segmentation(a_scene, add_volume(a_scene, np.zeros(SHAPE, np.float32)), [np.ones(SHAPE, bool)])
    reference = used.GetNodeReference(role)
    bridge.startSegment(segmentationNode=used)
    bridge.predict()
    assert used.GetNodeReference(role) is reference
    assert used.GetTransformNodeID() is None
    assert used.GetSegmentation().GetNumberOfSegments() == 2


def test_measures_reach_the_table_one_row_per_segment(a_scene, a_volume, a_bridge):
    table = a_scene.AddNewNodeByClass("vtkMRMLTableNode", "Measures")
    for kji in ((10, 12, 14), (7, 9, 10)):
        a_bridge.startSegment()
        a_bridge.positiveNode.RemoveAllControlPoints()
        click(a_bridge.positiveNode, a_volume, kji)
        a_bridge.predict()
        a_bridge.measure(tableNode=table)
    click(a_bridge.positiveNode, a_volume, (9, 11, 13))
    a_bridge.predict()
    measures = a_bridge.measure(tableNode=table)
    assert table.GetNumberOfRows() == 2
    mask = segment_of(a_bridge)
    voxel_ml = 2.0 * 2.5 * 3.7 / 1000
    values = slicer.util.arrayFromVolume(a_volume)[mask]
    expected = {"SUVmax": values.max(), "SUVmean": values.mean(dtype=float), "MTV": mask.sum() * voxel_ml}
    expected["TLG"] = expected["SUVmean"] * expected["MTV"]
    for name, value in expected.items():
        cell = table.GetTable().GetValueByName(1, name).ToDouble()
        assert cell == pytest.approx(value, rel=1e-6)
    assert table.GetColumnUnitLabel("SUVmax") == "g/ml"
    assert table.GetColumnUnitLabel("TLG") == measures.tlg_unit == "g"
    assert table.GetTable().GetValueByName(0, "Segment").ToString() == "Lesion 1"


def test_random_clicking_leaves_markups_session_and_segment_in_agreement(a_scene, a_volume, a_bridge, rng):
    organ = rng.random(SHAPE) < 0.2
    a_bridge.segmentationNode, (organID,) = add_segmentation(a_scene, a_volume, [organ])
    for _ in range(16):
        node = (a_bridge.positiveNode, a_bridge.negativeNode)[int(rng.random() < 0.3)]
        count, action = node.GetNumberOfControlPoints(), rng.choice(["add", "add", "move", "delete", "lose segment"])
        place = gridFromVolumeNode(a_volume).kji_to_lps(rng.uniform((3, 3, 3), (18, 22, 26))) * [-1, -1, 1]
        if action == "lose segment" and a_bridge.segmentID is not None:
            a_bridge.segmentationNode.GetSegmentation().RemoveSegment(a_bridge.segmentID)
        elif action == "move" and count:
            node.SetNthControlPointPositionWorld(int(rng.integers(count)), place)
        elif action == "delete" and count:
            node.RemoveNthControlPoint(int(rng.integers(count)))
        else:
            node.AddControlPointWorld(vtk.vtkVector3d(*place))
        if not a_bridge.positiveNode.GetNumberOfControlPoints():
            continue
        prediction = a_bridge.predict()
        np.testing.assert_array_equal(segment_of(a_bridge), prediction.mask)
        expected = {
            (*np.round(np.array(points.GetNthControlPointPositionWorld(n)) * [-1, -1, 1], 6), positive)
            for points, positive in ((a_bridge.positiveNode, True), (a_bridge.negativeNode, False))
            for n in range(points.GetNumberOfControlPoints())
        }
        assert {(*np.round(p.lps_mm, 6), p.positive) for p in a_bridge.session.prompts} == expected
    np.testing.assert_array_equal(read_segment(a_bridge.segmentationNode, organID, a_volume), organ)
