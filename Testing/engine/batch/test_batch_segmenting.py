"""All lesions of a study at once, with the bundled model."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from SegAnyPETLib import InteractiveSession, Point, SUVVolume, load_model
from SegAnyPETLib.batch.lesion import LesionRequest
from SegAnyPETLib.batch.segmenting import segment_lesions
from SegAnyPETLib.errors import PredictionCancelled
from SegAnyPETLib.evaluation import compute_dice
from SegAnyPETLib.phantom import Phantom, centred_grid, nema_phantom

GRID = centred_grid((44, 56, 62), (3.0, 3.3, 3.6), centre_lps_mm=(35.0, -80.0, 640.0), orientation="oblique")


def placed(*kji: float) -> tuple[float, float, float]:
    x, y, z = (float(c) for c in GRID.kji_to_lps(kji))
    return x, y, z


TOUCHING = np.asarray(placed(14.0, 18.0, 20.0)), np.asarray((0.6, 0.0, 0.8))  # the bigger one's centre, and towards
BIG_MM, SMALL_MM = 28.0, 16.0
CENTRES = (
    tuple(TOUCHING[0]),
    tuple(TOUCHING[0] + (BIG_MM + SMALL_MM) / 2 * TOUCHING[1]),
    placed(32.0, 42.0, 45.0),
)


@pytest.fixture(scope="module")
def a_model():
    return load_model("lite", device="cpu")


@pytest.fixture(scope="module")
def spheres() -> Phantom:
    """Two that touch, and one far from both."""
    return nema_phantom(
        grid=GRID, diameters_mm=(BIG_MM, SMALL_MM, 22.0), centres_lps_mm=CENTRES, sphere_suv=10.0, fwhm_mm=6.0
    )


@pytest.fixture(scope="module")
def an_image(spheres: Phantom) -> SUVVolume:
    return SUVVolume(spheres.activity_suv, GRID, kind="bw")


def a_request(number: int, *, label: str | None = None) -> LesionRequest:
    return LesionRequest(label or f"lesion {number}", (Point(CENTRES[number]),), "a test")


def test_lesions_that_meet_nobody_are_what_their_own_sessions_give(a_model, an_image, spheres):
    """Bit for bit: on the CPU, `lite` gives the same numbers for two regions in one call and in two.

    Another processor may round otherwise and flip voxels whose logit is almost 0; two of them are allowed.
    """
    requests = [
        a_request(2),
        LesionRequest("twice", (Point(CENTRES[0]), Point(placed(14.0, 24.0, 26.0), positive=False)), "a test"),
    ]
    heard: list[str] = []

    found = segment_lesions(
        an_image, requests, model=a_model, on_lesion=lambda request: heard.append(request.label), at_once=2
    )

    assert [lesion.request for lesion in found] == requests
    assert sorted(heard) == sorted(request.label for request in requests)
    for lesion in found:
        session = InteractiveSession(a_model)
        session.set_image(an_image)
        for prompt in lesion.request.prompts:
            session.add(prompt)
        own = session.predict()
        assert np.count_nonzero(lesion.mask ^ own.mask) <= 2
        assert lesion.score == pytest.approx(own.score, abs=1e-4)
        assert lesion.volume_interval_ml == pytest.approx(own.volume_interval_ml, rel=0.02)
        assert lesion.notices == own.notices
        assert lesion.reason is None
    assert compute_dice(found[0].mask, spheres.objects[2].mask) >= 0.85


@pytest.mark.gpu
def test_on_a_gpu_batches_differ_from_single_calls_by_rounding_only(an_image):
    model = load_model("lite", device="cuda")
    requests = [a_request(number % 3, label=str(number)) for number in (0, 2)]
    alone = [segment_lesions(an_image, [request], model=model, at_once=1)[0] for request in requests]
    for one, lesion in zip(alone, segment_lesions(an_image, requests, model=model, at_once=16), strict=True):
        assert np.count_nonzero(one.mask ^ lesion.mask) <= 5


def test_touching_balls_come_out_apart_and_no_voxel_counts_twice(a_model, an_image, spheres):
    requests = [a_request(1), a_request(0)]
    alone = [segment_lesions(an_image, [request], model=a_model)[0] for request in requests]
    assert (alone[0].mask & alone[1].mask).sum() > 100  # each click alone finds both balls

    small, big = segment_lesions(an_image, requests, model=a_model)

    assert not (small.mask & big.mask).any()
    np.testing.assert_array_equal(small.mask | big.mask, alone[0].mask | alone[1].mask)
    for lesion, number in ((small, 1), (big, 0)):
        truth = spheres.objects[number].mask
        before = next(each for each in alone if each.request is lesion.request)
        assert compute_dice(lesion.mask, truth) > compute_dice(before.mask, truth)
        assert lesion.mask[GRID.nearest_voxel_kji(CENTRES[number])]
        assert "were given to it" in lesion.notices[0]
        assert lesion.volume_interval_ml is None  # no interval was fitted for what is left
    assert alone[0].volume_interval_ml is not None


def test_every_request_gets_an_answer_that_says_why_there_is_no_mask(a_model, an_image):
    outside = LesionRequest("outside", (Point((1e4, 0.0, 0.0)),), "a test")
    unprompted = LesionRequest("unprompted", (), "a test")
    forbidden = LesionRequest("forbidden", a_request(2).prompts, "a test", keep_apart=np.ones(GRID.shape_kji, bool))
    found = segment_lesions(an_image, [outside, unprompted, forbidden], model=a_model)
    assert [lesion.packed.voxel_count for lesion in found] == [0, 0, 0]
    assert not any(lesion.mask.any() for lesion in found)
    for lesion, words in zip(found, ("outside", "at least one prompt", "taken out"), strict=True):
        assert lesion.reason is not None
        assert words in lesion.reason


def test_cancelling_ends_it(a_model, an_image):
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(PredictionCancelled):
        segment_lesions(an_image, [a_request(0)], model=a_model, cancel=cancel)


def test_a_study_without_requests_has_no_lesions(a_model, an_image):
    assert segment_lesions(an_image, [], model=a_model) == []
