"""A click in world space gives a mask in the same place, however the image lies."""

from __future__ import annotations

import numpy as np
import pytest
from pet_phantoms import blurred_ball, centroid_lps, dice, ellipsoid, hot, moved, oblique_grid
from rule_model import RuleModel

from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.session import InteractiveSession, Point

MODELS = {
    "lite-like": {"roi_shape": (48, 48, 48), "spacings_mm": (4.0, 2.0)},
    "vit-like": {
        "roi_shape": (64, 64, 64),
        "spacings_mm": (1.5,),
        "tensor_axes": "ijk_ras",
        "mask_stride": 4,
        "mask_prompt_first": "zeros",
    },
    "unequal sides": {"roi_shape": (32, 40, 48), "spacings_mm": (3.0,), "tensor_axes": "ijk_ras"},
}


def predict(image, point, **preprocessing):
    session = InteractiveSession(RuleModel(**preprocessing))
    session.set_image(image)
    session.add(Point(tuple(point)))
    return session.predict()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("flips", "degrees"),
    [((1, 1, 1), (0, 0, 0)), ((-1, -1, 1), (12, -7, 21)), ((1, -1, -1), (90, 0, 31)), ((-1, -1, -1), (-40, 66, 5))],
)
def test_an_analytic_ball_is_found_where_it_lies_in_the_world(model, flips, degrees):
    grid = oblique_grid(degrees_xyz=degrees, flips=flips)
    centre = grid.kji_to_lps((21.3, 30.8, 27.1))
    image = blurred_ball(grid, centre, 17.0)

    prediction = predict(image, moved(centre, (4.0, -3.0, 2.0)), **MODELS[model])

    assert np.linalg.norm(centroid_lps(prediction.mask, grid) - centre) < 0.7  # voxels are 2.7 to 4.2 mm
    volume_ml = prediction.mask.sum() * grid.voxel_volume_ml
    assert volume_ml == pytest.approx(4 / 3 * np.pi * 1.7**3, rel=0.12)


@pytest.mark.parametrize("tensor_axes", ["kji_lps", "ijk_ras"])
def test_only_the_clicked_object_is_found(tensor_axes):
    """Three unequal objects in a row of no symmetry: an exchanged or mirrored axis would return another one."""
    grid = oblique_grid(spacing_ijk_mm=(2.1, 2.7, 3.2))
    centre = grid.kji_to_lps((20, 26, 30))
    objects = [
        ellipsoid(grid, centre + offset, radii)
        for offset, radii in (((0, 0, 0), (12, 8, 6)), ((33, 0, 0), (6, 9, 8)), ((0, 36, 0), (9, 6, 12)))
    ]
    image = hot(grid, *objects)

    for (offset), truth in zip(((0, 0, 0), (33, 0, 0), (0, 36, 0)), objects, strict=True):
        prediction = predict(image, centre + offset, roi_shape=(64,) * 3, spacings_mm=(2.0,), tensor_axes=tensor_axes)
        assert dice(prediction.mask, truth) > 0.93


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("corner", [(0, 0, 0), (39, 51, 60), (0, 51, 0)])
def test_an_object_on_the_corner_of_the_image_is_found_there(model, corner):
    grid = oblique_grid()
    centre = grid.kji_to_lps(corner)
    image = blurred_ball(grid, centre, 16.0)

    prediction = predict(image, centre, **MODELS[model])

    truth = image.array >= 5.5
    assert prediction.mask[corner]
    assert dice(prediction.mask, truth) > 0.85


def test_a_click_on_the_outermost_face_is_accepted_and_mapped_inside():
    grid = oblique_grid()
    image = blurred_ball(grid, grid.kji_to_lps((0, 26, 30)), 15.0)

    prediction = predict(image, grid.kji_to_lps((-0.499, 26, 30)), roi_shape=(32,) * 3, spacings_mm=(3.0,))

    assert prediction.mask[0, 26, 30]


def test_an_image_of_a_single_slice_works():
    grid = Grid((1, 40, 50), (4.0, 4.0, 3.3), (-100.0, -80.0, 55.0))
    truth = ellipsoid(grid, (0.0, -10.0, 55.0), (20.0, 25.0, 9.0))

    prediction = predict(hot(grid, truth), (0.0, -10.0, 55.0), roi_shape=(32,) * 3, spacings_mm=(4.0,))

    assert dice(prediction.mask, truth) > 0.95


def test_probability_agrees_with_mask_and_score():
    grid = oblique_grid()
    centre = grid.kji_to_lps((21, 30, 27))
    prediction = predict(blurred_ball(grid, centre, 17.0), centre, roi_shape=(48,) * 3, spacings_mm=(3.0,))

    probability = prediction.probability
    assert probability.shape == grid.shape_kji
    assert probability.dtype == np.float32
    np.testing.assert_array_equal(probability >= 0.5, prediction.mask)  # one object: nothing was dropped
    k, j, i = np.nonzero(prediction.mask)
    near = tuple(slice(max(0, a.min() - 2), a.max() + 3) for a in (k, j, i))
    by_hand = 2 * probability[prediction.mask].sum() / (probability[near].sum() + prediction.mask.sum())
    assert prediction.score == pytest.approx(by_hand, abs=1e-4)
    assert not prediction.mask.flags.writeable
