import numpy as np
import pytest

from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.suv import SUVProvenance, SUVVolume, value_summary
from SegAnyPETLib.suv.value_summary import summarize_values


@pytest.fixture(params=[1, 3, 8])
def threads(request, monkeypatch):
    monkeypatch.setattr(value_summary, "CHUNK", 100)  # else a test would need millions of voxels
    monkeypatch.setattr(value_summary, "MOST_THREADS", request.param)
    monkeypatch.setattr(value_summary.os, "cpu_count", lambda: request.param)
    return request.param


@pytest.mark.parametrize("shape", [(1, 1, 1), (4, 5, 5), (7, 11, 13), (3, 10, 30)])
def test_range_and_mean_are_those_of_the_whole_image(threads, shape):
    values = np.random.default_rng(sum(shape)).normal(0.5, 1.0, shape).astype(np.float32)
    found = summarize_values(values)
    positive = [float(value) for value in values.ravel() if value > 0]
    assert (found.low, found.high) == (min(values.ravel().tolist()), max(values.ravel().tolist()))
    assert found.mean_of_positive == pytest.approx(sum(positive) / len(positive) if positive else 0.0, rel=1e-5)
    assert found.is_finite


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [0, 99, 100, 731, 1000])
def test_one_voxel_that_is_not_finite_is_found_wherever_it_is(threads, bad, at):
    values = np.ones((7, 11, 13), np.float32)
    values.flat[at] = bad
    assert not summarize_values(values).is_finite


def test_nothing_above_zero_has_the_mean_0(threads):
    assert summarize_values(np.full((5, 6, 7), -2, np.float32)).mean_of_positive == 0


def test_the_result_does_not_depend_on_the_number_of_threads(monkeypatch):
    monkeypatch.setattr(value_summary, "CHUNK", 64)
    values = np.random.default_rng(3).gamma(1.0, 2.0, (9, 17, 19)).astype(np.float32)
    found = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(value_summary.os, "cpu_count", lambda threads=threads: threads)
        found.append(summarize_values(values))
    assert found[0] == found[1] == found[2]


def test_values_too_large_for_a_sum_in_single_precision_are_no_error():
    found = summarize_values(np.full((4, 4, 4), 3e38, np.float32))
    assert found.is_finite
    assert found.mean_of_positive > 1e30


def test_a_volume_with_another_provenance_shares_voxels_and_what_is_known_of_them():
    grid = Grid((2, 3, 4), (2.0, 2.5, 3.5), (1.0, 2.0, 3.0), ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)))
    image = SUVVolume(np.arange(24, dtype=np.float32).reshape(2, 3, 4), grid, "lbm")
    again = image.with_provenance(SUVProvenance("elsewhere", "none"))
    assert again.array is image.array
    assert (again.kind, again.grid, again.values) == ("lbm", grid, image.values)
    assert (again.provenance.source, image.provenance.source) == ("elsewhere", "made in memory")
    assert (image.values.low, image.values.high, image.values.mean_of_positive) == (0, 23, 12)
