"""A click is an order."""

from __future__ import annotations

import numpy as np
import pytest

from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.session.obedience import OBEYED_LOGIT, change_to_obey
from SegAnyPETLib.session.region_network import Click

GRID = Grid((14, 18, 11), (2.0, 3.0, 4.0), (-30.0, 12.5, 700.0))


@pytest.fixture
def suv() -> np.ndarray:
    """A hot block in cold tissue."""
    values = np.ones(GRID.shape_kji, dtype=np.float32)
    values[4:9, 6:12, 3:8] = 6.0
    return values


def click_at(kji: tuple[float, float, float], *, positive: bool) -> Click:
    x, y, z = (float(c) for c in GRID.kji_to_lps(kji))
    return Click((x, y, z), positive)


def test_obeyed_clicks_change_nothing(suv: np.ndarray) -> None:
    logits = np.where(suv > 3, 5.0, -5.0).astype(np.float32)
    clicks = [click_at((6, 9, 5), positive=True), click_at((1, 2, 1), positive=False)]
    assert change_to_obey(logits, GRID, clicks, suv=suv) is None


@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("place", [(6.0, 9.0, 5.0), (6.4, 8.6, 5.3), (0.0, 0.0, 0.0), (13.4, 17.2, -0.4)])
def test_a_contradicted_click_is_obeyed_wherever_it_lies(
    suv: np.ndarray, place: tuple[float, float, float], positive: bool
) -> None:
    sign = 1 if positive else -1
    logits = np.full(GRID.shape_kji, -4.0 * sign, dtype=np.float32)
    logits[7, 0, 10] = 1.0  # the network found something, elsewhere
    corrected = logits + change_to_obey(logits, GRID, [click_at(place, positive=positive)], suv=suv)
    voxel = tuple(np.clip(np.round(place).astype(int), 0, np.asarray(GRID.shape_kji) - 1))
    assert sign * corrected[voxel] > 0


def test_the_correction_spreads_to_tissue_that_looks_alike_and_spares_the_rest(suv: np.ndarray) -> None:
    logits = np.full(GRID.shape_kji, -1.0, dtype=np.float32)
    logits[0, 0, 0] = 1.0
    change = change_to_obey(logits, GRID, [click_at((6, 9, 5), positive=True)], suv=suv)
    assert change[6, 9, 5] == pytest.approx(1 + OBEYED_LOGIT, abs=1e-4)
    assert change[6, 9, 4] > 1.5  # 2 mm away in the block: exp(-0.5 * 0.2 ** 2) * 2 = 1.96
    assert change[6, 9, 9] < 0.01  # 8 mm away, but ln(7 / 2) = 1.25 colder: five standard deviations
    assert (change >= 0).all()


def test_a_network_that_finds_nothing_is_left_alone(suv: np.ndarray) -> None:
    logits = np.full(GRID.shape_kji, -1.0, dtype=np.float32)
    assert change_to_obey(logits, GRID, [click_at((6, 9, 5), positive=True)], suv=suv) is None


def test_two_neighbouring_clicks_of_different_kind_are_both_obeyed(suv: np.ndarray) -> None:
    uniform = np.ones_like(suv)
    logits = np.zeros(GRID.shape_kji, dtype=np.float32)
    clicks = [click_at((6, 9, 3), positive=True), click_at((6, 9, 8), positive=False)]  # 10 mm apart
    corrected = logits + change_to_obey(logits, GRID, clicks, suv=uniform)
    assert corrected[6, 9, 3] > 0 > corrected[6, 9, 8]
