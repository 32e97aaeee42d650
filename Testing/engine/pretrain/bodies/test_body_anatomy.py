"""Bodies have the volumes of reference adults, and everything lies on the right side."""

from __future__ import annotations

import numpy as np
import pytest

from SegAnyPETLib.pretrain.bodies.canvas import Canvas
from SegAnyPETLib.pretrain.bodies.tissues import LEFT, ORGANS, Tissue

REFERENCE_ML = {  # ICRP Publication 89, adult mean of both sexes, rounded; lungs as in quiet breathing
    "brain": 1400,
    "liver": 1600,
    "spleen": 170,
    "kidney_right": 150,
    "kidney_left": 150,
    "lung_right": 1900,
    "lung_left": 1700,
    "myocardium": 145,
    "pancreas": 55,
}


def centre_kji(labels, *wanted):
    return np.argwhere(np.isin(labels, wanted)).mean(axis=0)


@pytest.mark.parametrize("name", REFERENCE_ML)
def test_organs_have_about_the_volume_of_a_reference_adult(two_bodies, name):
    labels = next(found for organ in ORGANS for own, found in organ.instances() if own == name)
    volumes = [np.isin(body.labels, labels).sum() * 0.008 for body in two_bodies]
    assert np.mean(volumes) == pytest.approx(REFERENCE_ML[name], rel=0.35)


def test_left_right_front_back_and_head_foot_are_lps(two_bodies):
    for body in two_bodies:
        labels = body.labels
        assert centre_kji(labels, Tissue.LIVER)[2] < centre_kji(labels, Tissue.SPLEEN)[2]  # x grows to the left
        assert centre_kji(labels, Tissue.LUNG)[2] < centre_kji(labels, Tissue.LUNG + LEFT)[2]
        assert centre_kji(labels, Tissue.STOMACH)[1] < centre_kji(labels, Tissue.VERTEBRA)[1]  # y to the back
        assert centre_kji(labels, Tissue.BLADDER)[0] < centre_kji(labels, Tissue.GREY)[0]  # z to the head


def test_places_lie_in_their_tissue(two_bodies):
    for label, places in two_bodies[0].places.items():
        assert set(two_bodies[0].labels[tuple(places.T)].tolist()) == {label}


def test_an_ellipsoid_is_painted_with_its_volume_whatever_the_warp():
    """A warp with zero mean keeps the volume of a large solid on average: 4/3 pi a b c = 0.905 l."""
    volumes = []
    for seed in range(3):
        canvas = Canvas(np.random.default_rng(seed), scale_lps=(1.0, 1.0, 1.0))
        canvas.ellipsoid(Tissue.LIVER, (10, -5, 40), (60, 45, 80))
        volumes.append((canvas.labels == Tissue.LIVER).sum() * 0.008)
    assert np.mean(volumes) == pytest.approx(4 / 3 * np.pi * 6.0 * 4.5 * 8.0, rel=0.15)
