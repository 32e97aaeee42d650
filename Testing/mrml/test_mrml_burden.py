from types import SimpleNamespace

import numpy as np
import pytest

from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.mrml import burden
from SegAnyPETLib.mrml.burden import BurdenSum
from SegAnyPETLib.session.packed_mask import PackedMask
from SegAnyPETLib.suv import SUVVolume, compute_measures

SHAPE = (12, 15, 19)
GRID = Grid(SHAPE, (2.0, 2.5, 3.7), (1.0, 2.0, 3.0), ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)))
VOXEL_ML = 2.0 * 2.5 * 3.7 / 1000


@pytest.fixture
def an_image(rng):
    return SUVVolume(rng.gamma(2.0, 2.0, SHAPE).astype(np.float32), GRID, "bw")


def cube(start, size=6):
    mask = np.zeros(SHAPE, dtype=bool)
    mask[tuple(slice(n, n + size) for n in start)] = True
    return mask


def lesion(mask, *, image=None):
    """A lesion that shows a mask; measured where an image is given."""
    packed = PackedMask.of(mask)
    measures = compute_measures(image, mask) if image is not None and mask.any() else None
    result = SimpleNamespace(mask=packed, measures=measures)
    return SimpleNamespace(shown=packed, state=SimpleNamespace(result=result))


def expected(image, masks):
    everywhere = np.any(masks, axis=0) if len(masks) else np.zeros(SHAPE, bool)
    return everywhere.sum() * VOXEL_ML, image.array[everywhere].sum(dtype=np.float64) * VOXEL_ML


@pytest.mark.parametrize("isMeasured", [True, False])
def test_a_voxel_in_several_lesions_counts_once(an_image, isMeasured):
    masks = [cube((1, 1, 1)), cube((3, 3, 3)), cube((4, 2, 5)), cube((2, 8, 12)), np.zeros(SHAPE, bool)]
    found = BurdenSum().of(an_image, [lesion(mask, image=an_image if isMeasured else None) for mask in masks])
    assert (found.mtv_ml, found.tlg) == pytest.approx(expected(an_image, masks))
    assert found.lesions == 4
    assert (found.suv_unit, found.tlg_unit) == ("g/ml", "g")


def test_it_follows_every_change(an_image, rng):
    keeper, lesions = BurdenSum(), [lesion(cube((n, n, 2 * n))) for n in range(0, 6, 2)]
    for _ in range(40):
        which = int(rng.integers(len(lesions) + 1))
        changed = lesion(cube(rng.integers(0, 6, 3), int(rng.integers(1, 7))), image=rng.choice([None, an_image]))
        if which == len(lesions) or rng.random() < 0.5:
            lesions.insert(which, changed)
        elif rng.random() < 0.5:
            lesions[which] = changed
        elif len(lesions) > 2:
            del lesions[which]
        found = keeper.of(an_image, lesions)
        masks = [each.shown.to_array() for each in lesions]
        assert (found.mtv_ml, found.tlg) == pytest.approx(expected(an_image, masks))


def test_another_image_is_summed_anew(an_image, rng):
    other = SUVVolume(rng.gamma(2.0, 2.0, SHAPE).astype(np.float32), GRID, "bsa")
    keeper, lesions = BurdenSum(), [lesion(cube((2, 3, 4)))]
    keeper.of(an_image, lesions)
    found = keeper.of(other, lesions)
    assert found.tlg == pytest.approx(expected(other, [cube((2, 3, 4))])[1])
    assert found.tlg_unit == "cm2"


def test_only_what_changed_or_meets_it_is_looked_at_again(an_image, monkeypatch):
    looked, really = [], burden._sumOver
    monkeypatch.setattr(burden, "_sumOver", lambda mask, image: looked.append(mask) or really(mask, image))
    keeper = BurdenSum()
    lesions = [lesion(cube((0, 0, 0), 3)), lesion(cube((4, 4, 4))), lesion(cube((6, 6, 6))), lesion(cube((0, 9, 12)))]
    keeper.of(an_image, lesions)
    looked.clear()
    keeper.of(an_image, lesions)
    assert looked == []
    lesions[1] = lesion(cube((4, 4, 5)), image=an_image)  # measured by the engine
    found = keeper.of(an_image, lesions)
    assert found.mtv_ml == pytest.approx(expected(an_image, [each.shown.to_array() for each in lesions])[0])
    assert [each.box.shape_kji for each in looked] == [(6, 6, 6), (4, 4, 5)]  # the third lesion, and where it meets
