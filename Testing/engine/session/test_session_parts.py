"""The small parts: packed masks, the region cache, components, windows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from SegAnyPETLib.geometry import Grid, VoxelBox
from SegAnyPETLib.preprocess import Region
from SegAnyPETLib.session.canvas import Canvas, Window, merge_overlapping
from SegAnyPETLib.session.packed_mask import PackedMask
from SegAnyPETLib.session.postprocess import NO_COMPONENT_NOTICE, keep_clicked_components, sigmoid
from SegAnyPETLib.session.prompts import Box
from SegAnyPETLib.session.region_cache import RegionCache, size_in_bytes
from SegAnyPETLib.session.region_network import Click

SHAPE = (5, 6, 7)
masks = hnp.arrays(np.bool_, SHAPE, elements=st.booleans(), fill=st.just(False))


@given(mask=masks)
def test_a_packed_mask_comes_back_unchanged(mask):
    packed = PackedMask.of(mask)

    np.testing.assert_array_equal(packed.to_array(), mask)
    assert packed.voxel_count == mask.sum()
    assert packed.box == VoxelBox.of_mask(mask)


@given(first=masks, second=masks)
def test_the_difference_box_is_the_box_of_the_difference(first, second):
    box = PackedMask.of(first).difference_box(PackedMask.of(second))

    assert box == VoxelBox.of_mask(first ^ second)


@given(mask=masks, start=st.tuples(*[st.integers(0, 4)] * 3), size=st.tuples(*[st.integers(1, 7)] * 3))
def test_any_box_of_a_packed_mask_can_be_read(mask, start, size):
    box = VoxelBox(start, tuple(min(a + n, top) for a, n, top in zip(start, size, SHAPE, strict=True)))
    np.testing.assert_array_equal(PackedMask.of(mask).inside(box), mask[box.slices])


def test_a_packed_mask_takes_one_bit_per_voxel_of_its_box():
    mask = np.zeros((400, 400, 400), dtype=bool)
    mask[100:140, 50:90, 60:100] = True

    assert len(PackedMask.of(mask).bits) == 40**3 // 8


def regions(count):
    return [Region((64.0 * n, 0.0, 0.0), (8, 8, 8), 4.0, "kji_lps") for n in range(count)]


def test_the_cache_stays_within_its_budget_and_drops_the_least_recently_used():
    cache = RegionCache(budget_bytes=3000)
    first, second, third, fourth = regions(4)
    for region in (first, second, third):
        cache.get(region, lambda: {"features": (np.zeros(125), [np.zeros(0)])})  # 1000 bytes
    cache.get(first, lambda: pytest.fail("it is known"))

    cache.get(fourth, lambda: np.zeros(125))

    assert cache.used_bytes == 3000
    assert [region in cache for region in (first, second, third, fourth)] == [True, False, True, True]


def test_the_newest_embedding_stays_even_beyond_the_budget():
    cache = RegionCache(budget_bytes=10)
    first, second = regions(2)
    cache.get(first, lambda: np.zeros(125))
    cache.get(second, lambda: np.zeros(500))

    assert len(cache) == 1
    assert second in cache
    assert cache.used_bytes == 4000


def test_an_encoder_that_fails_leaves_the_cache_as_it_was():
    cache = RegionCache()
    with pytest.raises(ZeroDivisionError):
        cache.get(regions(1)[0], lambda: 1 / 0)

    assert len(cache) == 0


def test_the_size_of_nested_tensors_is_their_sum():
    torch = pytest.importorskip("torch")
    nested = {"a": torch.zeros(10), "b": [torch.zeros(2, 3, dtype=torch.float64), (np.zeros(4, np.uint8), None)]}

    assert size_in_bytes(nested) == 40 + 48 + 4


GRID = Grid((12, 14, 16), (2.0, 3.0, 4.0), (-10.0, 5.0, 7.0))


def three_parts():
    mask = np.zeros(GRID.shape_kji, dtype=bool)
    mask[1:4, 1:4, 1:4] = True
    mask[6:9, 6:9, 6:9] = True
    mask[6:9, 6:9, 12:15] = True
    return mask


def kept(clicks, *, seed=None, boxes=()):
    packed, notices = keep_clicked_components(PackedMask.of(three_parts()), clicks, grid=GRID, seed=seed, boxes=boxes)
    return packed.to_array(), notices


def at(kji, *, positive=True):
    return Click(tuple(GRID.kji_to_lps(kji)), positive)


def test_parts_without_a_positive_click_are_dropped():
    mask, notices = kept([at((2, 2, 2)), at((7, 7, 13), positive=False)])

    assert mask[2, 2, 2]
    assert mask.sum() == 27
    assert notices == ()


def test_a_click_one_voxel_beside_a_part_still_counts_and_two_do_not():
    assert kept([at((5, 5, 5)), at((2, 2, 2))])[0].sum() == 54
    assert kept([at((10, 10, 10)), at((2, 2, 2))])[0].sum() == 27


def test_a_part_under_the_seed_is_kept():
    seed = np.zeros(GRID.shape_kji, dtype=bool)
    seed[7, 7, 13] = True

    assert kept([at((2, 2, 2))], seed=PackedMask.of(seed))[0].sum() == 54


def test_the_clicked_part_of_a_box_is_kept_and_the_whole_box_when_none_is_clicked():
    corner, other = GRID.kji_to_lps((5.5, 5.5, 5.5)), GRID.kji_to_lps((9.5, 9.5, 15.5))
    box = Box(tuple(corner), tuple(other))

    assert kept([at((7, 7, 7))], boxes=[box])[0].sum() == 27
    assert kept([at((7, 7, 10))], boxes=[box])[0].sum() == 54


def test_the_last_part_is_never_dropped():
    mask, notices = kept([at((11, 13, 0))])

    assert mask.sum() == 81
    assert notices == (NO_COMPONENT_NOTICE,)


def test_with_negative_clicks_alone_everything_is_kept():
    mask, notices = kept([at((2, 2, 2), positive=False)])

    assert mask.sum() == 81
    assert notices == ()


def test_sigmoid_equals_its_definition_without_overflow():
    logits = np.array([-1e4, -20.0, -1.0, 0.0, 1.0, 20.0, 1e4], dtype=np.float32)

    expected = [0.0, 0.0, 1 / (1 + np.e), 0.5, 1 / (1 + np.exp(-1)), 1.0, 1.0]
    np.testing.assert_allclose(sigmoid(logits), expected, atol=1e-6)


IMAGE = Grid((40, 40, 40), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0))


def window(centre, logit, *, spacing_mm=4.0, step=1):
    logits = np.full((16, 16, 16), logit, dtype=np.float32)
    return Window.of(Region(centre, (16, 16, 16), spacing_mm, "kji_lps"), logits, step=step, image_grid=IMAGE)


def test_the_newest_window_wins_in_its_interior_and_fades_towards_its_faces():
    """Along x: old region -2..62 mm says -4, new region 30..94 mm says +4 with a ramp of 8 mm."""
    canvas = Canvas().with_window(window((30.0, 78.0, 78.0), -4.0)).with_window(window((62.0, 78.0, 78.0), 4.0, step=2))

    line = canvas.sample(IMAGE, unknown=np.nan)[20, 20]

    np.testing.assert_allclose(line[:8], -4.0, atol=1e-5)  # 0 to 28 mm: only the old one
    np.testing.assert_allclose(line[10:23], 4.0, atol=1e-5)  # from 40 mm on the new one is opaque, beyond 62 mm alone
    assert (np.diff(line[7:11]) > 0).all()
    assert np.abs(np.diff(line[:23])).max() <= 8.0 * 4.0 / 8.0 + 1e-4  # no step beyond the ramp's own slope


def test_windows_of_one_step_share_their_overlap_by_depth():
    """Along x: regions -2..62 and 30..94 mm; at 38 mm the depths are 24 and 8 mm, at 54 mm 8 and 24 mm."""
    canvas = Canvas().with_window(window((30.0, 78.0, 78.0), -4.0)).with_window(window((62.0, 78.0, 78.0), 4.0))

    line = canvas.sample(Grid((1, 1, 2), (16.0, 4.0, 4.0), (38.0, 78.0, 78.0)), unknown=np.nan)[0, 0]

    np.testing.assert_allclose(line, [(-4 * 24 + 4 * 8) / 32, (-4 * 8 + 4 * 24) / 32], atol=1e-5)
    assert np.isnan(line[25:]).all()


def test_finer_windows_lie_above_coarser_ones_whatever_their_age():
    fine = window((78.0, 78.0, 78.0), 4.0, spacing_mm=2.0)
    canvas = Canvas().with_window(fine).with_window(window((78.0, 78.0, 78.0), -4.0, step=2))

    assert canvas.windows[-1] is fine
    assert canvas.sample(IMAGE, unknown=0.0)[19, 19, 19] == pytest.approx(4.0)


def test_decoding_a_region_again_replaces_its_window():
    canvas = Canvas().with_window(window((30.0, 78.0, 78.0), -4.0)).with_window(window((30.0, 78.0, 78.0), 4.0, step=2))

    assert len(canvas.windows) == 1
    assert canvas.sample(IMAGE, unknown=0.0).max() == pytest.approx(4.0)


def test_an_object_that_runs_out_of_the_image_keeps_its_outermost_voxels():
    """Outside the image the network says background; half of every border voxel lies beside such logits."""
    grid = Grid((20, 20, 20), (4.0, 4.0, 4.0), (1.0, 1.0, 1.0))
    region = Region((0.0, 40.0, 40.0), (16, 16, 16), 4.0, "kji_lps")
    logits = np.full((16, 16, 16), 4.0, dtype=np.float32)
    x = region.tensor_to_lps(np.stack([np.zeros(16), np.zeros(16), np.arange(16)], axis=-1))[:, 0]
    logits[:, :, x < -1.0] = -4.0
    canvas = Canvas().with_window(Window.of(region, logits, step=1, image_grid=grid))

    inner = VoxelBox((6, 6, 0), (12, 12, 6))

    np.testing.assert_allclose(canvas.sample_on_image(grid.crop(inner)), 4.0)


@given(
    corners=st.lists(st.tuples(*[st.integers(0, 20)] * 3), min_size=1, max_size=8),
    size=st.integers(1, 8),
)
def test_merged_boxes_are_disjoint_and_hold_all(corners, size):
    boxes = [VoxelBox(c, tuple(n + size for n in c)) for c in corners]

    merged = merge_overlapping(boxes)

    cover = np.zeros((30, 30, 30), dtype=int)
    for box in merged:
        cover[box.slices] += 1
    assert cover.max() == 1
    assert all(cover[box.slices].all() for box in boxes)
