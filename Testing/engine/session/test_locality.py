"""A correcting click changes the mask around itself and nothing far away."""

from __future__ import annotations

import numpy as np
import pytest

from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.session.locality import keep_far_from
from SegAnyPETLib.session.region_network import Click

GRID = Grid((30, 44, 60), (4.0, 5.0, 3.0), (-50.0, 20.0, 300.0))
CLICK_KJI = (15.0, 6.0, 10.0)


def click(reach_mm: float) -> Click:
    x, y, z = (float(c) for c in GRID.kji_to_lps(CLICK_KJI))
    return Click((x, y, z), positive=True, reach_mm=reach_mm)


def blended(reach_mm: float, before: np.ndarray) -> np.ndarray:
    return keep_far_from(click(reach_mm), np.full(GRID.shape_kji, 3.0, np.float32), before=before, grid=GRID)


@pytest.mark.parametrize(
    ("steps_j", "expected"),
    [
        (8, 3.0),  # 40 mm: the new answer
        (10, 1.0),  # 50 mm: halfway between the new answer, 3, and the earlier one, -1
        (12, -1.0),  # 60 mm: the earlier one
        (30, -1.0),
    ],
)
def test_the_new_answer_fades_into_the_earlier_one(steps_j: int, expected: float) -> None:
    """Along j a voxel is 5 mm; the new answer holds to 40 mm and is gone at 60 mm."""
    found = blended(2.0, np.full(GRID.shape_kji, -1.0, np.float32))
    assert found[15, 6 + steps_j, 10] == pytest.approx(expected, abs=1e-5)


def test_a_click_far_from_the_border_changes_more() -> None:
    """A reach of 20 mm makes 80 mm: 16 steps of 5 mm."""
    found = blended(20.0, np.full(GRID.shape_kji, -1.0, np.float32))
    assert found[15, 22, 10] == pytest.approx(3.0, abs=1e-5)
    assert found[15, 40, 10] == pytest.approx(-1.0, abs=1e-5)


def test_where_nothing_was_known_the_new_answer_stands_however_far() -> None:
    before = np.full(GRID.shape_kji, -1.0, np.float32)
    before[:, 30:] = np.nan
    found = blended(2.0, before)
    assert (found[:, 30:] == 3.0).all()
    assert np.isfinite(found).all()


def test_later_clicks_keep_more() -> None:
    """From the sixth click on the new answer holds to 20 mm and is gone at 30 mm."""
    before, after = (np.full(GRID.shape_kji, value, np.float32) for value in (-1.0, 3.0))
    sixth = keep_far_from(click(2.0), after, before=before, grid=GRID, number=6)
    tenth = keep_far_from(click(2.0), after, before=before, grid=GRID, number=10)
    assert sixth[15, [10, 11, 12, 14], 10] == pytest.approx([3.0, 1.0, -1.0, -1.0], abs=1e-5)  # 20, 25, 30, 40 mm
    assert (sixth == tenth).all()
