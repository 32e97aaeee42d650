"""Classical methods on images whose answer is known by construction; spacing and position are uneven."""

from dataclasses import replace

import numpy as np
import pytest
from scripted_method import GRID, AnImage

from SegAnyPETLib.evaluation import compute_dice
from SegAnyPETLib.evaluation.classical import PlacedClicks, classical_methods
from SegAnyPETLib.evaluation.classical.seeded_block import make_seeded_block
from SegAnyPETLib.evaluation.classical.thresholds import nestle

SEEDED = ("random_walker", "random_walker_6_mm_seeds", "geodesic")
SPACING_KJI_MM = GRID.spacing_kji_mm


def a_bar(shape=(40, 30, 44)):
    """Two hot blocks of SUV 10 (K, J, I) on 0.8, joined by a bridge of SUV 7."""
    values = np.full(shape, 0.8, dtype=np.float32)
    left, right = np.zeros(shape, bool), np.zeros(shape, bool)
    left[12:26, 10:19, 6:15] = True
    right[12:26, 10:19, 27:36] = True
    values[left | right] = 10.0
    values[17:20, 13:15, 15:27] = 7.0
    return values, left, right


def masks_of(name, values, clicks):
    method = classical_methods()[name]
    method.start(AnImage(values, replace(GRID, shape_kji=values.shape)))
    return [method.click(kji, positive=positive)[0] for kji, positive in clicks]


@pytest.mark.parametrize("name", sorted(classical_methods()))
def test_one_click_finds_a_sharp_lone_box(name):
    values, left, _ = a_bar()
    values[~left] = 0.8
    (mask,) = masks_of(name, values, [((19, 14, 10), True)])
    assert mask.shape == values.shape
    assert compute_dice(mask, left) > 0.97


@pytest.mark.parametrize("name", ["threshold_41_percent", "threshold_50_percent_filled", "suv_2.5", "nestle"])
def test_a_negative_click_takes_away_what_is_nearer_to_it(name):
    values, left, right = a_bar()
    joined, kept = masks_of(name, values, [((19, 14, 10), True), ((19, 14, 31), False)])
    assert (joined & right).sum() == right.sum()
    assert not kept[right].any()
    assert kept[left].all()


@pytest.mark.parametrize("name", SEEDED)
def test_seeds_decide_on_their_own_side(name):
    values, left, right = a_bar()
    _, mask = masks_of(name, values, [((19, 14, 10), True), ((19, 14, 31), False)])
    assert mask[left].mean() > 0.97
    assert mask[right].mean() < 0.03
    _, both = masks_of(name, values, [((19, 14, 10), True), ((19, 14, 31), True)])
    assert both[left | right].mean() > 0.97


@pytest.mark.parametrize("name", SEEDED)
def test_every_clicked_voxel_of_a_seeded_method_is_obeyed_also_close_together(name):
    values = np.random.default_rng(3).gamma(2.0, 1.0, (20, 22, 26)).astype(np.float32)
    clicks = [((9, 11, 13), True), ((9, 11, 14), False), ((0, 0, 0), True), ((19, 21, 25), False), ((8, 11, 13), True)]
    mask = masks_of(name, values, clicks)[-1]
    assert [bool(mask[kji]) for kji, _ in clicks] == [positive for _, positive in clicks]


@pytest.mark.parametrize("name", ["random_walker", "geodesic"])
def test_a_constant_border_cut_away_changes_nothing(name):
    values, *_ = a_bar()
    whole = masks_of(name, values, [((19, 14, 10), True)])[0]
    cut = masks_of(name, values[6:34, 5:25], [((13, 9, 10), True)])[0]
    assert compute_dice(whole[6:34, 5:25], cut) > 0.99


@pytest.mark.parametrize("name", ["nestle_filled", "random_walker"])
def test_a_new_image_forgets_the_old_clicks(name):
    values, *_ = a_bar()
    (expected,) = masks_of(name, values, [((19, 14, 31), True)])
    method = classical_methods()[name]
    image = AnImage(values, replace(GRID, shape_kji=values.shape))
    method.start(image)
    method.click((19, 14, 10), positive=True)
    method.start(image)
    np.testing.assert_array_equal(method.click((19, 14, 31), positive=True)[0], expected)


def test_fixed_suv_finds_nothing_where_nothing_is_that_hot_within_20_mm():
    values, *_ = a_bar()
    assert not masks_of("suv_4.0", values, [((36, 25, 2), True)])[0].any()


def test_filling_closes_a_cold_core_that_is_clicked():
    values, left, _ = a_bar()
    values[~left] = 0.8
    core = (slice(17, 21), slice(13, 16), slice(9, 12))
    values[core] = 1.0
    (rim,) = masks_of("threshold_41_percent", values, [((19, 14, 10), True)])
    (filled,) = masks_of("threshold_41_percent_filled", values, [((19, 14, 10), True)])
    assert not rim[core].any()
    np.testing.assert_array_equal(filled, left)


def test_nestle_is_a_share_of_the_core_plus_the_background():
    values = np.array([10.0, 8.0, 6.0, 1.0, 1.0, 1.2, 30.0, 0.1], dtype=np.float32).reshape(1, 2, 4)
    distance = np.array([0.0, 5.0, 10.0, 30.0, 35.0, 40.0, 50.0, 70.0]).reshape(1, 2, 4)
    # core of at least 7: mean 9; cold within 60 mm and below 4.1: 1.0, 1.0, 1.2
    assert nestle(values, distance) == pytest.approx(0.15 * 9.0 + 1.0)


def test_seeds_lie_within_their_radius_and_background_begins_at_the_reach():
    values = np.ones((10, 12, 14), dtype=np.float32)
    clicks = PlacedClicks(((1, 6, 7), (8, 6, 7)), ((5, 6, 7),))
    block = make_seeded_block(values, clicks, SPACING_KJI_MM, reach_mm=30.0, seed_radii_mm=(9.0, 6.0))

    def label(k, j, i):
        return block.labels[tuple(np.subtract((k, j, i), block.start_kji))]

    # 3 mm along k: the first ball reaches k 4, the second k 6 to 10; the negative one takes what is nearer to it
    assert [label(k, 6, 7) for k in range(-2, 12)] == [1, 1, 1, 1, 1, 1, -1, -1, -1, 1, 1, 1, 1, 0]
    assert [label(1, 6, 7 + n) for n in (7, 8)] == [0, -1]  # 28 and 32 mm
