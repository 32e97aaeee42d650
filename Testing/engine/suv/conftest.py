"""The SUV tests use the series builder of the data tests."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "data"))


@pytest.fixture
def factors(tmp_path):
    """Factor of each slice from rescaled value to SUV, for a series with these tags."""

    from pet_dicom_builder import pet_slices, write_slices

    from SegAnyPETLib.data import read_pet_series
    from SegAnyPETLib.suv import compute_suv

    def of(*, kind="bw", stated=None, change=None, **tags):
        slices = pet_slices(**tags)
        for k, dataset in enumerate(slices):
            if change:
                change(dataset, k)
        write_slices(tmp_path, slices)
        series = read_pet_series(tmp_path)
        volume = compute_suv(series, kind=kind, stated=stated)
        ratio = volume.array / series.values
        assert np.allclose(ratio, ratio[:, :1, :1], rtol=1e-6)
        return ratio[:, 0, 0]

    return of
