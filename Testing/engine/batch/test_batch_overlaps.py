"""Who gets a voxel that several lesions claim; every expected mask is written down by hand."""

from __future__ import annotations

import numpy as np
import pytest

from SegAnyPETLib.batch.lesion import LesionRequest
from SegAnyPETLib.batch.overlaps import Claim, share_out
from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.session.packed_mask import PackedMask
from SegAnyPETLib.session.prompts import Point
from SegAnyPETLib.session.region_network import Click

TURN = ((0.6, -0.8, 0.0), (0.8, 0.6, 0.0), (0.0, 0.0, -1.0))
GRID = Grid((3, 4, 12), (2.0, 3.0, 4.0), (-31.0, 17.0, 240.0), TURN)
ROW = (1, 2)  # all that happens lies in this row along i


def a_claim(label: str, logits: str, *, clicked: int, apart: str = "", also: int | None = None) -> Claim:
    """A lesion in the row: a digit is a voxel of it with that logit, a dot is none of it; `x` in `apart` is."""
    values = np.array([np.nan if c == "." else float(c) for c in logits.ljust(12, ".")], dtype=np.float32)
    mask = np.zeros(GRID.shape_kji, dtype=bool)
    mask[ROW] = ~np.isnan(values)
    keep_apart = None
    if apart:
        keep_apart = np.zeros(GRID.shape_kji, dtype=bool)
        keep_apart[ROW] = [c == "x" for c in apart.ljust(12, ".")]
    places = [tuple(GRID.kji_to_lps((*ROW, i))) for i in (clicked, also) if i is not None]
    request = LesionRequest(label, tuple(Point(p) for p in places), "by hand", keep_apart=keep_apart)
    clicks = tuple(Click(p, positive=True) for p in places)
    return Claim(request, PackedMask.of(mask), values[~np.isnan(values)], clicks)


def shared(*claims: Claim) -> list[str]:
    masks = [share.packed.to_array() for share in share_out(claims, grid=GRID)]
    for mask in masks:
        outside = mask.copy()
        outside[ROW] = False
        assert not outside.any()
    return ["".join("#" if v else "." for v in mask[ROW]) for mask in masks]


def test_a_voxel_goes_to_the_lesion_that_is_surest_of_it():
    first = a_claim("A", "6543210.....", clicked=0)
    second = a_claim("B", "...44567....", clicked=7)
    assert shared(first, second) == ["###.........", "...#####...."]


def test_lesions_that_meet_nobody_keep_their_very_mask_without_notice():
    claims = [a_claim("A", "999.........", clicked=1), a_claim("B", "....99......", clicked=4)]
    shares = share_out(claims, grid=GRID)
    assert [share.packed for share in shares] == [claim.packed for claim in claims]
    assert [share.notices for share in shares] == [(), ()]
    assert share_out([], grid=GRID) == []


def test_at_equal_logits_the_nearer_click_decides_and_then_the_earlier_request():
    first, second = a_claim("A", "5555555.....", clicked=0), a_claim("B", "5555555.....", clicked=6)
    assert shared(first, second) == ["####........", "....###....."]  # voxel 3 lies in the middle
    assert shared(second, first) == ["...####.....", "###........."]


def test_a_lesion_keeps_the_voxel_of_its_own_click_whatever_the_other_says():
    first, second = a_claim("A", "99999.......", clicked=1), a_claim("B", "...22.......", clicked=4)
    assert shared(first, second) == ["####........", "....#......."]


def test_pieces_cut_off_from_the_click_are_dropped():
    first = a_claim("A", "555555555...", clicked=0)
    second = a_claim("B", "...999......", clicked=4)
    assert shared(first, second) == ["###.........", "...###......"]
    first = a_claim("A", "555555555...", clicked=0, also=8)
    assert shared(first, second) == ["###...###...", "...###......"]


def test_voxels_to_be_kept_apart_are_taken_out_and_given_to_nobody():
    alone = a_claim("A", "55555555....", clicked=1, apart="...xx.......")
    (share,) = share_out([alone], grid=GRID)
    assert "".join("#" if v else "." for v in share.packed.to_array()[ROW]) == "###........."
    assert share.notices == ("2 voxels that belong to other foci were taken out.",)
    other = a_claim("B", "...2........", clicked=3)
    assert shared(alone, other) == ["###.........", "...#........"]  # the higher logit does not count there


def test_three_lesions_share_and_the_notices_name_who_got_how_many():
    claims = [
        a_claim("A", "98765.......", clicked=0),
        a_claim("B", "..8887......", clicked=3),
        a_claim("C", "....9999....", clicked=6),
    ]
    shares = share_out(claims, grid=GRID)
    assert shared(*claims) == ["##..........", "..##........", "....####...."]
    assert shares[0].notices == (
        "2 voxels that B claims too were given to it.",
        "1 voxels that C claims too were given to it.",
    )
    assert shares[1].notices == ("2 voxels that C claims too were given to it.",)
    assert shares[2].notices == ()


def test_of_two_claims_to_one_voxel_only_one_is_left():
    claims = [a_claim("A", "..5.........", clicked=2), a_claim("A again", "..4.........", clicked=2)]
    assert shared(*claims) == ["..#.........", "............"]


@pytest.mark.parametrize("seed", range(6))
def test_no_voxel_is_given_twice_and_the_order_of_the_lesions_does_not_matter(seed: int):
    rng = np.random.default_rng(seed)
    digits = rng.permutation(10).reshape(2, 5)  # no two lesions are equally sure of anything
    clicks = rng.permutation(8)[:2]  # nor clicked at one place
    claims = []
    for number, clicked in enumerate(clicks):
        first = max(0, int(clicked) - 2)
        claims.append(a_claim(str(number), "." * first + "".join(map(str, digits[number])), clicked=int(clicked)))
    forwards = share_out(claims, grid=GRID)
    assert sum(share.packed.to_array().astype(int) for share in forwards).max() == 1
    backwards = share_out(claims[::-1], grid=GRID)[::-1]
    assert [share.packed for share in forwards] == [share.packed for share in backwards]
    assert [share.notices for share in forwards] == [share.notices for share in backwards]
