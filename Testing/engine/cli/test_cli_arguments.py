"""Coordinates as typed."""

import argparse

import numpy as np
import pytest

from SegAnyPETLib.cli.arguments import (
    BoxArgument,
    PointArgument,
    box_to_lps,
    parse_box,
    parse_point,
    protect_negative_coordinates,
    to_lps,
)
from SegAnyPETLib.geometry import Grid

OBLIQUE = Grid(
    (20, 22, 26),
    (4.0, 5.0, 3.0),
    (-31.0, 12.5, 870.0),
    ((0.8, -0.6, 0.0), (0.6, 0.8, 0.0), (0.0, 0.0, 1.0)),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,2,3", PointArgument((1.0, 2.0, 3.0), True)),
        ("-10.5,.5,-3e1,+", PointArgument((-10.5, 0.5, -30.0), True)),
        (" -10,2,3,-", PointArgument((-10.0, 2.0, 3.0), False)),
        ("1, 2, 3, -", PointArgument((1.0, 2.0, 3.0), False)),
    ],
)
def test_points_are_parsed(text, expected):
    assert parse_point(text) == expected


@pytest.mark.parametrize("text", ["", "1,2", "1,2,3,4", "a,b,c", "1,2,nan", "1,2,inf,-", "1;2;3", "study"])
def test_what_is_no_point_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="expected numbers"):
        parse_point(text)


def test_boxes_are_parsed():
    assert parse_box("-1,2,3,4,5,-6") == BoxArgument((-1.0, 2.0, 3.0), (4.0, 5.0, -6.0))
    with pytest.raises(argparse.ArgumentTypeError, match="six numbers"):
        parse_box("1,2,3")


def test_ras_differs_from_lps_in_the_sign_of_two_axes():
    assert to_lps((10.0, -20.0, 30.0), frame="lps", grid=OBLIQUE) == (10.0, -20.0, 30.0)
    assert to_lps((10.0, -20.0, 30.0), frame="ras", grid=OBLIQUE) == (-10.0, 20.0, 30.0)


def test_voxel_indices_are_i_j_k():
    # origin + 2 * 4 mm * (.8, .6, 0) + 3 * 5 mm * (-.6, .8, 0) + 5 * 3 mm * (0, 0, 1)
    expected = (-31.0 + 6.4 - 9.0, 12.5 + 4.8 + 12.0, 870.0 + 15.0)
    assert to_lps((2.0, 3.0, 5.0), frame="ijk", grid=OBLIQUE) == pytest.approx(expected)


def test_a_box_in_ijk_of_an_oblique_image_becomes_the_box_around_its_corners():
    low, high = box_to_lps(parse_box("0,0,0,2,3,5"), frame="ijk", grid=OBLIQUE)
    corners = np.array([[-31, 12.5], [-31 + 6.4, 12.5 + 4.8], [-31 - 9, 12.5 + 12], [-31 + 6.4 - 9, 12.5 + 4.8 + 12]])
    assert low == pytest.approx((*corners.min(0), 870.0))
    assert high == pytest.approx((*corners.max(0), 885.0))


def test_a_box_in_ras_is_put_in_order():
    low, high = box_to_lps(parse_box("1,2,3,4,5,6"), frame="ras", grid=OBLIQUE)
    assert (low, high) == ((-4.0, -5.0, 3.0), (-1.0, -2.0, 6.0))


def test_negative_coordinates_are_values_and_options_stay_options():
    words = ["segment", "in", "--point", "-10,20,30", "-.5,1,2,-", "--box", "-1,2,3,4,5,6", "--json", "-"]
    protected = protect_negative_coordinates(words)
    assert protected == [
        "segment",
        "in",
        "--point",
        " -10,20,30",
        " -.5,1,2,-",
        "--box",
        " -1,2,3,4,5,6",
        "--json",
        "-",
    ]
