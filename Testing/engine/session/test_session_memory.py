"""A large image costs what its regions cost. The full-size figure is measured by `seganypet bench`."""

from __future__ import annotations

import tracemalloc

import numpy as np
from pet_phantoms import COLD_SUV, HOT_SUV, Volume
from rule_model import RuleModel

from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.session import InteractiveSession, Point


def test_thirty_clicks_in_a_large_image_stay_small():
    grid = Grid((160, 200, 200), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0))
    array = np.full(grid.shape_kji, COLD_SUV, dtype=np.float32)  # 25 MB
    array[70:90, 90:110, 90:110] = HOT_SUV
    session = InteractiveSession(RuleModel(roi_shape=(32, 32, 32), spacings_mm=(4.0,)))
    tracemalloc.start()
    try:
        session.set_image(Volume(array, grid))
        for n in range(30):
            session.add(Point((200.0, 200.0 + n / 10, 160.0)))
            session.predict()
            session.model.decoded.clear()
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    # torch and SimpleITK allocate outside of what is traced here; NumPy's part shows copies of the image or dense masks
    assert peak < 0.5 * array.nbytes
    assert kept < 0.2 * array.nbytes
