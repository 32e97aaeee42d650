"""Laws that SUV obeys for every patient, dose, nuclide and time."""

from __future__ import annotations

import warnings
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from SegAnyPETLib.data import PETHeader, PETSeries, SliceHeader
from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.suv import compute_suv
from SegAnyPETLib.suv.body import lean_body_mass_kg
from SegAnyPETLib.suv.times import mean_decay_offset_s

# No deadline: machines are shared. Derandomized: the same examples in every run.
LAW = settings(deadline=None, derandomize=True, max_examples=40)
NOON = datetime(2025, 3, 30, 12, 0)
weights = st.floats(3.0, 300.0)
doses = st.floats(2e6, 5e9)
half_lives = st.floats(1000.0, 40_000.0)
uptakes = st.floats(60.0, 7200.0)


def header(*, weight=74.0, dose=370e6, half_life=6586.2, uptake=3600.0, scan_at=NOON, **changes):
    made = PETHeader(
        units="BQML",
        decay_correction="START",
        corrected_image=("ATTN", "DECY"),
        patient_weight=weight,
        patient_size=1.75,
        patient_sex="F",
        radionuclide_total_dose=dose,
        radionuclide_half_life_s=half_life,
        radiopharmaceutical_count=1,
        radiopharmaceutical_start_datetime=scan_at - timedelta(seconds=uptake),
        series_at=scan_at,
        slices=tuple(SliceHeader(1.0, 0.0, scan_at + timedelta(seconds=120 * k), 120.0, 60.0) for k in range(3)),
    )
    return replace(made, **changes)


def factors(head, kind="bw"):
    grid = Grid((3, 2, 2), (4.0, 3.0, 2.5), (1.0, 2.0, 3.0))
    series = PETSeries(np.ones((3, 2, 2), np.float32), head.units, grid, head, (), (1, 1, 1), "1.2.3")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return compute_suv(series, kind=kind).array[:, 0, 0].astype(np.float64)


@LAW
@given(weight=weights, share=st.floats(0.3, 0.99))
def test_suv_is_proportional_to_weight(weight, share):
    assert factors(header(weight=weight * share)) == pytest.approx(share * factors(header(weight=weight)), rel=1e-5)


@LAW
@given(dose=doses, more=st.floats(1.01, 10.0))
def test_suv_is_inverse_to_the_dose(dose, more):
    assert factors(header(dose=dose * more)) == pytest.approx(factors(header(dose=dose)) / more, rel=1e-5)


@LAW
@given(half_life=half_lives)
def test_one_half_life_doubles_the_factor(half_life):
    later, sooner = header(half_life=half_life, uptake=half_life), header(half_life=half_life, uptake=0.0)
    assert factors(later) == pytest.approx(2 * factors(sooner), rel=1e-5)


@LAW
@given(uptake=uptakes, half_life=half_lives)
def test_correction_to_administration_differs_by_the_decay_until_the_scan(uptake, half_life):
    start = header(uptake=uptake, half_life=half_life)
    admin = replace(start, decay_correction="ADMIN")
    assert factors(start) == pytest.approx(factors(admin) * 2 ** (uptake / half_life), rel=1e-5)


@LAW
@given(days=st.integers(-5000, 5000), seconds=st.integers(0, 86_399))
def test_only_the_time_between_counts_not_the_day(days, seconds):
    moved = header(scan_at=NOON + timedelta(days=days, seconds=seconds))
    assert factors(moved) == pytest.approx(factors(header()), rel=1e-6)


@LAW
@given(seconds=st.integers(0, 86_399), uptake=st.integers(60, 7200))
def test_start_time_without_a_date_gives_the_same_across_midnight(seconds, uptake):
    whole = header(scan_at=NOON + timedelta(seconds=seconds), uptake=uptake)
    start = whole.radiopharmaceutical_start_datetime
    clock = replace(whole, radiopharmaceutical_start_datetime=None, radiopharmaceutical_start_time=start.time())
    assert factors(clock) == pytest.approx(factors(whole), rel=1e-6)


@LAW
@given(shift=st.floats(5.0, 40_000.0), beds=st.lists(st.floats(0.0, 1800.0), min_size=3, max_size=3))
def test_scan_start_computed_back_does_not_depend_on_when_the_series_was_made(shift, beds):
    rate = np.log(2) / 6586.2
    mean = np.log(rate * 120 / (1 - np.exp(-rate * 120))) / rate
    slices = tuple(SliceHeader(1.0, 0.0, NOON + timedelta(seconds=bed), 120.0, bed + mean) for bed in beds)
    late = header(series_at=NOON + timedelta(seconds=max(beds) + shift), slices=slices)
    assert factors(late) == pytest.approx(factors(header()), rel=1e-5)


@LAW
@given(uptake=uptakes, half_life=half_lives, frame=st.floats(1.0, 1200.0))
def test_uncorrected_frames_equal_frames_corrected_to_their_start(uptake, half_life, frame):
    """The mean activity of a frame, 2^(-T_ave/T½) of that at its start, corrected by hand, must give the same SUV."""
    slices = tuple(SliceHeader(1.0, 0.0, NOON, frame, 0.0) for _ in range(3))
    none = header(uptake=uptake, half_life=half_life, slices=slices, decay_correction="NONE", corrected_image=("ATTN",))
    start = header(uptake=uptake, half_life=half_life)
    by_hand = 2 ** (mean_decay_offset_s(frame, half_life_s=half_life) / half_life)
    assert factors(none) == pytest.approx(factors(start) * by_hand, rel=1e-5)


@LAW
@given(frame=st.floats(1.0, 3600.0), half_life=half_lives)
def test_mean_activity_is_reached_a_little_before_the_middle_of_the_frame(frame, half_life):
    offset = mean_decay_offset_s(frame, half_life_s=half_life)
    assert 0.3 * frame < offset <= frame / 2 * (1 + 1e-6)


@LAW
@given(weight=st.floats(40.0, 200.0), height=st.floats(140.0, 200.0))
def test_lean_body_mass_is_positive_and_below_the_weight(weight, height):
    male, female, other = (lean_body_mass_kg(weight, height, sex=sex) for sex in "MFO")
    assert 0 < female < male < weight * 1.05
    assert other == pytest.approx((male + female) / 2)


@LAW
@given(weight=weights)
def test_kinds_are_related_by_their_masses_only(weight):
    head = header(weight=weight)
    mass = 9270 * weight / (8780 + 244 * weight / 1.75**2)
    area = 71.84 * weight**0.425 * 175**0.725
    assert factors(head, "lbm") == pytest.approx(factors(head) * mass / weight, rel=1e-5)
    assert factors(head, "bsa") == pytest.approx(factors(head) * area / (1000 * weight), rel=1e-5)
