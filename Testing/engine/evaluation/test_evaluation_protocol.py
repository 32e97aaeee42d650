"""The case loop with scripted methods whose every click and figure can be told beforehand."""

import numpy as np
import pytest
from scripted_method import GRID, AnImage, Painter, a_box

from SegAnyPETLib.errors import InputError
from SegAnyPETLib.evaluation import Case, EvaluationProtocol, EvaluationResult, evaluate_case
from SegAnyPETLib.evaluation.cases import cut_faces
from SegAnyPETLib.geometry import VoxelBox


@pytest.fixture
def a_case():
    reference = a_box((4, 17), (8, 15), (10, 19))  # middle: 10, 11, 14
    values = np.where(reference, 6.0, 0.8).astype(np.float32)
    values[12, 14, 18] = 11.0
    return Case("CASE_007", AnImage(values, GRID), reference)


def test_first_click_is_the_deepest_voxel_and_the_next_goes_into_the_largest_error(a_case):
    too_large = a_box((4, 17), (1, 15), (10, 19))  # spurious: j 1 to 7, middle 10, 4, 14
    too_small = a_box((4, 17), (8, 15), (10, 12))  # missed: i 12 to 18, deepest at 9, 11, 15
    painter = Painter([too_large, too_small, a_case.reference])
    result = evaluate_case(painter, a_case, protocol=EvaluationProtocol(clicks=10))
    assert painter.clicks == [((10, 11, 14), True), ((10, 4, 14), False), ((9, 11, 15), True)]
    assert [click.is_obeyed for click in result.clicks] == [True, True, True]
    assert [click.click for click in result.clicks] == [1, 2, 3]


def test_lps_of_a_click_is_where_the_grid_says(a_case):
    result = evaluate_case(Painter([a_case.reference]), a_case, protocol=EvaluationProtocol(clicks=1))
    # origin + 14 * 4 mm * (.8, .6, 0) + 11 * 5 mm * (-.6, .8, 0) + 10 * 3 mm * (0, 0, 1)
    assert result.clicks[0].lps_mm == pytest.approx((-31 + 44.8 - 33, 12.5 + 33.6 + 44, 870 + 30))


def test_a_perfect_mask_ends_the_clicks_and_keeps_its_figures(a_case):
    result = evaluate_case(Painter([a_case.reference]), a_case, protocol=EvaluationProtocol(clicks=10))
    assert len(result.clicks) == 1
    assert result.after(10).dice == 1.0
    assert result.auc == 4.0
    assert result.clicks_to(0.85) == 1


def test_a_disobeyed_click_is_noticed(a_case):
    painter = Painter([np.zeros(GRID.shape_kji, bool), ~a_case.reference])
    result = evaluate_case(painter, a_case, protocol=EvaluationProtocol(clicks=2))
    assert [click.is_obeyed for click in result.clicks] == [False, False]


def test_figures_over_clicks_of_a_known_script(a_case):
    half = a_box((4, 17), (8, 15), (10, 16))  # 6 of 9 columns: Dice 12 / 15
    worse = a_box((4, 17), (8, 15), (10, 13))  # 3 of 9: Dice 6 / 12
    result = EvaluationResult(
        EvaluationProtocol(clicks=3),
        (evaluate_case(Painter([half, worse, half]), a_case, protocol=EvaluationProtocol(clicks=3)),),
    )
    (case,) = result.cases
    assert [click.agreement.dice for click in case.clicks] == pytest.approx([0.8, 0.5, 0.8])
    assert case.auc == pytest.approx(0.65 + 0.65 + 0.8 + 0.8)
    assert case.clicks_to(0.80) == 1
    assert case.clicks_to(0.85) is None
    assert result.clicks_to(0.85) == {"reached": 0, "failed": 1, "mean_capped": 3.0}
    assert result.share_of_clicks_lowering_dice() == 0.5
    assert result.estimate_after(2, "dice").mean == pytest.approx(0.5)


def test_the_method_never_sees_the_reference(a_case):
    painter = Painter([a_case.reference])
    evaluate_case(painter, a_case, protocol=EvaluationProtocol(clicks=1))
    assert isinstance(painter.images[0], AnImage)


def test_the_hottest_voxel_can_be_clicked_first(a_case):
    painter = Painter([a_case.reference])
    evaluate_case(painter, a_case, protocol=EvaluationProtocol(clicks=1, first_click="hottest"))
    assert painter.clicks == [((12, 14, 18), True)]


def test_a_random_first_click_is_inside_and_repeats_with_its_seed(a_case):
    clicked = []
    for seed in (1, 1, 2, 3):
        painter = Painter([a_case.reference])
        evaluate_case(painter, a_case, protocol=EvaluationProtocol(clicks=1, first_click="random", seed=seed))
        clicked.append(painter.clicks[0][0])
    assert all(a_case.reference[kji] for kji in clicked)
    assert clicked[0] == clicked[1]
    assert len(set(clicked)) > 1


def test_masks_are_handed_out_after_each_click(a_case):
    seen = []
    half = a_box((4, 17), (8, 15), (10, 16))
    evaluate_case(
        Painter([half, a_case.reference]),
        a_case,
        protocol=EvaluationProtocol(clicks=5),
        on_mask=lambda case, kept, click, mask: seen.append((case.name, kept, click, int(mask.sum()))),
    )
    whole = VoxelBox.of_shape(GRID.shape_kji)
    assert seen == [("CASE_007", whole, 1, half.sum()), ("CASE_007", whole, 2, a_case.reference.sum())]


def test_cut_faces_keep_the_reference_and_the_place_of_every_voxel(a_case):
    cut, kept = cut_faces(a_case, limit_mm=45.0, seed=4)
    assert cut.reference.sum() == a_case.reference.sum()
    np.testing.assert_array_equal(cut.image.array, a_case.image.array[kept.slices])
    np.testing.assert_allclose(cut.image.grid.kji_to_lps((0, 0, 0)), GRID.kji_to_lps(kept.start_kji))
    assert cut.reference.shape < a_case.reference.shape
    for face in (0, -1):
        for axis in range(3):
            assert not np.take(cut.reference, face, axis=axis).any()  # no new contact with a border


def test_cut_faces_depend_on_seed_and_case_alone(a_case):
    other = Case("CASE_008", a_case.image, a_case.reference)
    assert cut_faces(a_case, limit_mm=45.0, seed=4)[1] == cut_faces(a_case, limit_mm=45.0, seed=4)[1]
    boxes = {cut_faces(case, limit_mm=45.0, seed=seed)[1] for case in (a_case, other) for seed in (4, 5)}
    assert len(boxes) > 1


def test_a_face_the_reference_touches_is_not_cut(a_case):
    reference = a_case.reference | a_box((0, 17), (8, 15), (10, 19))
    _, kept = cut_faces(Case("CASE_007", a_case.image, reference), limit_mm=45.0, seed=4)
    assert kept.start_kji[0] == 0


def test_no_cut_leaves_the_image_whole(a_case):
    cut, kept = cut_faces(a_case, limit_mm=0.0, seed=4)
    assert kept == VoxelBox.of_shape(GRID.shape_kji)
    assert cut.reference.shape == GRID.shape_kji


@pytest.mark.parametrize("wrong", [{"clicks": 0}, {"cut_faces_mm": -1.0}, {"seed": -1}, {"first_click": "nicest"}])
def test_a_protocol_out_of_range_is_refused(wrong):
    with pytest.raises(InputError, match="at least one click"):
        EvaluationProtocol(**wrong)


def test_a_result_without_cases_is_refused():
    with pytest.raises(InputError, match="at least one case"):
        EvaluationResult(EvaluationProtocol(), ())
