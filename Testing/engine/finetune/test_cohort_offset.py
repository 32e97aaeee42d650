"""How far careless labels are off: against the edge of uptake, as a cohort, and case by case."""

import numpy as np
import pytest
from scipy import ndimage

from SegAnyPETLib.finetune.cohort_offset import CohortOffset
from SegAnyPETLib.finetune.config import CPCLConfig
from SegAnyPETLib.finetune.uptake_edge import edge_offset_mm

SPACING = (3.0, 4.0, 5.0)
SHAPE = (34, 27, 23)
CENTRE_MM = (52.0, 51.0, 55.0)


def distance_mm(centre_mm=CENTRE_MM):
    places = np.meshgrid(*[np.arange(n) * size for n, size in zip(SHAPE, SPACING, strict=True)], indexing="ij")
    return np.sqrt(sum((place - middle) ** 2 for place, middle in zip(places, centre_mm, strict=True)))


def ball(radius_mm):
    return distance_mm() <= radius_mm


def scanned(uptake, *, fwhm_mm=6.0):
    return ndimage.gaussian_filter(uptake.astype(np.float32), [fwhm_mm / 2.355 / size for size in SPACING])


def offset(label, suv, **changes):
    options = {"spacing_kji_mm": SPACING, "reach_mm": 15.0, "cut_share": 0.25} | changes
    return edge_offset_mm(label, suv.astype(np.float32), **options)


@pytest.mark.parametrize("bias_mm", [-8.0, -4.0, 0.0, 4.0, 8.0])
def test_a_label_is_measured_against_the_edge_of_uptake(bias_mm):
    suv = scanned(np.where(ball(26.0), 8.0, 1.0))
    assert offset(ball(26.0 + bias_mm), suv) == pytest.approx(bias_mm, abs=0.6)  # 0.15 voxels of 4 mm


def test_a_cold_core_is_no_edge_of_the_lesion():
    suv = scanned(np.where(ball(26.0), np.where(ball(14.0), 1.5, 8.0), 1.0))
    for bias_mm in (-6.0, 0.0, 6.0):
        assert offset(ball(26.0 + bias_mm), suv) == pytest.approx(bias_mm, abs=1.5)


def test_a_hot_neighbour_on_one_side_is_no_edge_of_the_lesion():
    beside = distance_mm((52.0, 51.0, 96.0)) <= 12.0
    suv = scanned(np.where(beside, 20.0, np.where(ball(26.0), 6.0, 1.0)))
    assert offset(ball(26.0), suv) == pytest.approx(0.0, abs=1.2)


def test_a_missing_half_is_hardly_an_offset():
    k = np.arange(SHAPE[0])[:, None, None] * SPACING[0]
    half, suv = ball(26.0) & (k < CENTRE_MM[0]), scanned(np.where(ball(26.0), 8.0, 1.0))
    assert offset(half, suv) == pytest.approx(0.0, abs=1.5)
    assert offset(half, suv, cut_share=0.0) < -3  # which the mean over the whole border would take for one


def test_what_is_colder_than_its_surroundings_has_no_edge_of_uptake():
    assert offset(ball(20.0), scanned(np.where(ball(20.0), 0.4, 2.0))) is None
    assert offset(ball(20.0), np.ones(SHAPE)) is None


def test_a_label_without_border_has_none():
    everywhere = np.ones(SHAPE, dtype=bool)
    for label in (everywhere, ~everywhere):
        assert offset(label, np.ones(SHAPE)) is None


def test_a_label_of_one_slice_is_measured_too():
    suv = scanned(np.where(ball(26.0), 8.0, 1.0))[17:18]
    assert offset(ball(26.0)[17:18], suv) == pytest.approx(0.0, abs=1.2)


def looked_at(careful, careless, **changes):
    """A cohort with a look at each case, from 0 on; the careless ones from 100 on."""
    cohort = CohortOffset(CPCLConfig(**{"standard_errors": 0.0} | changes))
    for number, mm in enumerate(careful):
        cohort.add(number, is_careful=True, offset_mm=mm, disagreement=0.02)
    for number, mm in enumerate(careless):
        cohort.add(100 + number, is_careful=False, offset_mm=mm, disagreement=0.2)
    return cohort


def test_the_offset_needs_enough_cases_and_is_drawn_towards_nothing_by_its_error():
    cohort = CohortOffset(CPCLConfig(fewest_cases=3, standard_errors=1.0))
    for case, mm in enumerate((0.0, 0.6, -0.6)):
        assert cohort.mm == 0
        assert cohort.of_case(9) == 0
        for trembling in (-0.1, 0.1):  # two looks at a case are one case
            cohort.add(case, is_careful=True, offset_mm=mm + trembling, disagreement=0.02)
            cohort.add(case + 9, is_careful=False, offset_mm=4 + mm + trembling, disagreement=0.2)
    error = np.sqrt(2 * 0.36 / 3)  # the squares of 0.6 and -0.6 over two, for both kinds, over three cases
    assert cohort.mm == pytest.approx(4 - error)
    assert cohort.usual_disagreement == pytest.approx(0.02)


def test_one_tumour_unlike_the_others_is_not_what_is_usual():
    assert looked_at((-30.0, 0.0, 1.0, 2.0), (4.0, 4.5, 5.0, 40.0)).mm == pytest.approx(4.25)


def test_what_careless_labels_scatter_more_than_careful_ones_is_each_ones_own():
    cohort = looked_at((1.0, 2.0, 3.0), (2.0, 6.0, 10.0), careful_scatter=2.0)
    assert cohort.mm == 4
    share = (16 - 4 * 1) / 16  # of variances, that of the careful ones times the square of two
    assert [cohort.of_case(number) for number in (100, 101, 102)] == pytest.approx([4 - 4 * share, 4, 4 + 4 * share])
    assert cohort.of_case(77) == 4  # not looked at


def test_what_careful_labels_scatter_as_much_is_the_tumours():
    cohort = looked_at((-4.0, 0.0, 4.0), (2.0, 6.0, 10.0), careful_scatter=1.0)
    assert [cohort.of_case(number) for number in (100, 101, 102)] == [6, 6, 6]


def test_labels_that_are_all_alike_have_the_cohorts_offset():
    assert looked_at((1.0, 1.0, 1.0), (3.0, 3.0, 3.0)).of_case(100) == 2


def test_labels_without_an_edge_of_uptake_have_no_offset_but_may_be_contradicted():
    cohort = looked_at((None,) * 4, (None,) * 5)
    assert (cohort.mm, cohort.of_case(100)) == (0, 0)
    assert cohort.usual_disagreement == pytest.approx(0.02)
