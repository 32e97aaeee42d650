"""Dice, surface Dice and HD95 against hand sums and against MONAI."""

import numpy as np
import pytest

from SegAnyPETLib.errors import GeometryError
from SegAnyPETLib.evaluation import compute_agreement, compute_dice, compute_surface_distances

SPACING_KJI_MM = (3.27, 5.47, 4.1)
SHAPE = (14, 17, 12)


def ellipsoid(centre, axes_mm):
    offsets = (np.indices(SHAPE) - np.reshape(centre, (3, 1, 1, 1))) * np.reshape(SPACING_KJI_MM, (3, 1, 1, 1))
    return ((offsets / np.reshape(axes_mm, (3, 1, 1, 1))) ** 2).sum(0) <= 1.0


# MONAI 1.6 calls its own functions in ways it has deprecated.
OLD_MONAI_CALL = pytest.mark.filterwarnings("ignore:monai.metrics:FutureWarning")


def monai_figures(prediction, reference):
    torch = pytest.importorskip("torch")
    metrics = pytest.importorskip("monai.metrics")
    pair = [torch.from_numpy(np.ascontiguousarray(mask))[None, None].float() for mask in (prediction, reference)]
    return (
        float(metrics.compute_surface_dice(*pair, [4.0], include_background=True, spacing=SPACING_KJI_MM)),
        float(
            metrics.compute_hausdorff_distance(*pair, percentile=95, include_background=True, spacing=SPACING_KJI_MM)
        ),
    )


@OLD_MONAI_CALL
@pytest.mark.parametrize(
    "prediction",
    [
        ellipsoid((7, 8, 5), (12, 20, 11)),
        ellipsoid((6, 9, 6), (15, 14, 9)) | ellipsoid((11, 14, 10), (5, 8, 8)),
        ellipsoid((0, 0, 11), (20, 40, 30)),  # cut by the image border
        ellipsoid((3, 4, 2), (2, 2, 2)),  # one voxel
    ],
)
def test_surface_figures_equal_monai(prediction):
    reference = ellipsoid((6, 8, 6), (13, 22, 12))
    distances = compute_surface_distances(prediction, reference, spacing_kji_mm=SPACING_KJI_MM)
    surface_dice, hd95_mm = monai_figures(prediction, reference)
    assert distances.surface_dice(4.0) == pytest.approx(surface_dice, abs=1e-6)
    assert distances.hausdorff_mm() == pytest.approx(hd95_mm, rel=1e-5)


@OLD_MONAI_CALL
def test_random_masks_equal_monai():
    generator = np.random.default_rng(5)
    for density in (0.02, 0.5, 0.95):
        prediction, reference = generator.random((2, *SHAPE)) < density
        distances = compute_surface_distances(prediction, reference, spacing_kji_mm=SPACING_KJI_MM)
        surface_dice, hd95_mm = monai_figures(prediction, reference)
        assert distances.surface_dice(4.0) == pytest.approx(surface_dice, abs=1e-6)
        assert distances.hausdorff_mm() == pytest.approx(hd95_mm, rel=1e-5)


def test_dice_of_a_hand_count():
    first, second = np.zeros((2, *SHAPE), dtype=bool)
    first[0, 0, 0:4] = True
    second[0, 0, 1:7] = True
    assert compute_dice(first, second) == pytest.approx(2 * 3 / (4 + 6))


def test_a_shifted_plane_is_as_far_as_it_was_shifted():
    first, second = np.zeros((2, *SHAPE), dtype=bool)
    first[:, 4, :] = True
    second[:, 6, :] = True
    distances = compute_surface_distances(first, second, spacing_kji_mm=SPACING_KJI_MM)
    assert distances.hausdorff_mm() == pytest.approx(2 * 5.47)
    assert distances.surface_dice(10.94) == 1.0  # a tolerance of exactly the distance counts as within
    assert distances.surface_dice(10.93) == 0.0


def test_two_empty_masks_agree():
    empty = np.zeros(SHAPE, dtype=bool)
    distances = compute_surface_distances(empty, empty, spacing_kji_mm=SPACING_KJI_MM)
    assert (compute_dice(empty, empty), distances.surface_dice(4.0), distances.hausdorff_mm()) == (1.0, 1.0, 0.0)


@pytest.mark.parametrize("swap", [False, True])
def test_one_empty_mask_is_the_worst_there_is(swap):
    pair = [np.zeros(SHAPE, dtype=bool), ellipsoid((6, 8, 6), (13, 22, 12))]
    first, second = pair[::-1] if swap else pair
    distances = compute_surface_distances(first, second, spacing_kji_mm=SPACING_KJI_MM)
    diagonal = np.hypot(np.hypot(14 * 3.27, 17 * 5.47), 12 * 4.1)
    assert compute_dice(first, second) == 0.0
    assert distances.surface_dice(4.0) == 0.0
    assert distances.hausdorff_mm() == pytest.approx(diagonal)


def test_ratios_of_volume_and_uptake():
    reference, prediction = np.zeros((2, *SHAPE), dtype=bool)
    reference[2, 3, 0:4] = True
    prediction[2, 3, 2:8] = True
    values = np.ones(SHAPE, dtype=np.float32)
    values[2, 3, 2:4] = 5.0  # reference 1 1 5 5, prediction 5 5 1 1 1 1
    agreement = compute_agreement(prediction, reference, values_suv=values, spacing_kji_mm=SPACING_KJI_MM)
    assert agreement.volume_ratio == pytest.approx(6 / 4)
    assert agreement.tlg_ratio == pytest.approx(14 / 12)
    assert agreement.suv_mean_ratio == pytest.approx((14 / 6) / (12 / 4))


def test_an_empty_prediction_has_no_mean_uptake():
    reference = ellipsoid((6, 8, 6), (13, 22, 12))
    values = np.ones(SHAPE, dtype=np.float32)
    agreement = compute_agreement(np.zeros(SHAPE, bool), reference, values_suv=values, spacing_kji_mm=SPACING_KJI_MM)
    assert (agreement.volume_ratio, agreement.tlg_ratio, agreement.suv_mean_ratio) == (0.0, 0.0, None)


def test_masks_of_different_shape_are_refused():
    with pytest.raises(GeometryError, match="one shape"):
        compute_dice(np.zeros((2, 3, 4), bool), np.zeros((2, 3, 5), bool))


def test_an_empty_reference_is_refused():
    empty = np.zeros(SHAPE, dtype=bool)
    with pytest.raises(GeometryError, match="empty"):
        compute_agreement(empty, empty, values_suv=np.ones(SHAPE, np.float32), spacing_kji_mm=SPACING_KJI_MM)
