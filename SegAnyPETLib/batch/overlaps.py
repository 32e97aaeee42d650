"""Which lesion a voxel belongs to, where several lesions of one study claim it.

Every voxel counts once, whatever the lesions come from: else the total tumour burden would count uptake twice, and
a DICOM SEG of touching lesions could not be read back as a label map. A voxel that several lesions claim goes

1. to the lesion that a positive point of its own lies in this voxel, a click being an order;
2. else to the one with the highest logit there: the model is surest that the voxel belongs to that click;
3. else, at equal logits, to the one whose nearest positive click is nearer; and then to the one asked for first.

Of touching balls of 36 and 18 mm, one click each, `lite` finds both together for either click (Dice 0.89 and 0.20);
by this rule they come to 0.93 and 0.81, by nearest click alone to 0.91 and 0.68. Of equal balls both rules give 0.9.

What the rule (or `keep_apart`) takes from a lesion may cut it into pieces; those that nobody clicked are dropped, as
in a session. The answer does not depend on the order in which the lesions were segmented.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.batch.lesion import LesionRequest
from SegAnyPETLib.geometry import Grid, VoxelBox
from SegAnyPETLib.session.packed_mask import PackedMask
from SegAnyPETLib.session.postprocess import keep_clicked_components
from SegAnyPETLib.session.prompts import Box, Point, SeedMask
from SegAnyPETLib.session.region_network import Click

INTO_NOTICE = "{voxels} voxels that {other} claims too were given to it."
APART_NOTICE = "{voxels} voxels that belong to other foci were taken out."


@dataclass(frozen=True, eq=False)
class Claim:
    """What a lesion would be if it were alone.

    Attributes:
        request: What was asked for.
        packed: Its mask as predicted.
        logits: Of the mask's voxels in the order of their index, float32.
        clicks: What its prompts were for the network, positive and negative.
    """

    request: LesionRequest
    packed: PackedMask
    logits: NDArray[np.float32]
    clicks: tuple[Click, ...]


@dataclass(frozen=True, eq=False)
class Share:
    """What a lesion gets.

    Attributes:
        packed: Its mask; may be empty.
        notices: What was taken, and for whom; empty when it got all it claimed.
    """

    packed: PackedMask
    notices: tuple[str, ...] = ()


def share_out(claims: Sequence[Claim], *, grid: Grid) -> list[Share]:
    """Give every voxel to one lesion at most; see the rule in the text of this module.

    Args:
        claims: In the order of the request.
        grid: Of the image.

    Returns:
        One share for each claim.
    """
    kept = [_without_other_foci(claim) for claim in claims]
    index = [_index_of(claim.packed)[keep] for claim, keep in zip(claims, kept, strict=True)]
    logits = [claim.logits[keep] for claim, keep in zip(claims, kept, strict=True)]
    owners = _owners(claims, index, logits, grid=grid)
    shares = []
    for number, claim in enumerate(claims):
        own = owners[number] == number
        notices = [] if kept[number].all() else [APART_NOTICE.format(voxels=int((~kept[number]).sum()))]
        for other in np.unique(owners[number][~own]):
            voxels = int((owners[number] == other).sum())
            notices.append(INTO_NOTICE.format(voxels=voxels, other=claims[other].request.label))
        shares.append(_share(claim, index[number][own], tuple(notices), grid=grid) if notices else Share(claim.packed))
    return shares


def _without_other_foci(claim: Claim) -> NDArray[np.bool_]:
    """Which of the mask's voxels do not lie in `keep_apart`."""
    apart = claim.request.keep_apart
    if apart is None or claim.packed.box.is_empty:
        return np.ones(claim.packed.voxel_count, dtype=bool)
    return np.asarray(~apart[claim.packed.box.slices][claim.packed.inside_box()])


def _owners(
    claims: Sequence[Claim], index: Sequence[NDArray[np.int64]], logits: Sequence[NDArray[np.float32]], *, grid: Grid
) -> list[NDArray[np.int64]]:
    """For each voxel a lesion claims the number of the lesion that gets it."""
    owners = [np.full(len(each), number, dtype=np.int64) for number, each in enumerate(index)]
    if not index:
        return owners
    times = np.zeros(int(np.prod(grid.shape_kji)), dtype=np.uint16)
    for each in index:
        times[each] += 1
    contested = [times[each] > 1 for each in index]
    voxel = np.concatenate([each[c] for each, c in zip(index, contested, strict=True)])
    if not len(voxel):
        return owners
    claimant = np.concatenate([np.full(int(c.sum()), n, dtype=np.int64) for n, c in enumerate(contested)])
    logit = np.concatenate([each[c] for each, c in zip(logits, contested, strict=True)])
    clicked, distance = zip(
        *(_nearness(claim, each[c], grid=grid) for claim, each, c in zip(claims, index, contested, strict=True)),
        strict=True,
    )
    order = np.lexsort((claimant, np.concatenate(distance), -logit, ~np.concatenate(clicked), voxel))
    first = np.concatenate([[True], np.diff(voxel[order]) != 0])
    winner = np.empty(len(voxel), dtype=np.int64)
    winner[order] = claimant[order][first][np.cumsum(first) - 1]
    for number, part in enumerate(np.split(winner, np.cumsum([int(c.sum()) for c in contested])[:-1])):
        owners[number][contested[number]] = part
    return owners


def _nearness(claim: Claim, index: NDArray[np.int64], *, grid: Grid) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Whether each voxel holds one of the lesion's own positive points, and how far in mm its nearest click is."""
    kji = np.stack(np.unravel_index(index, grid.shape_kji), axis=-1)
    lps = grid.kji_to_lps(kji)
    distance = np.full(len(index), np.inf)
    for click in claim.clicks:
        if click.positive:
            distance = np.minimum(distance, np.linalg.norm(lps - np.asarray(click.lps_mm), axis=-1))
    points = [p.lps_mm for p in claim.request.prompts if isinstance(p, Point) and p.positive]
    voxels = [np.ravel_multi_index(grid.nearest_voxel_kji(point), grid.shape_kji) for point in points]
    return np.isin(index, voxels), np.round(distance, 3)  # to micrometres, or rounding would break ties


def _share(claim: Claim, index: NDArray[np.int64], notices: tuple[str, ...], *, grid: Grid) -> Share:
    """The voxels left, without pieces that nobody clicked."""
    left = _packed(index, claim.packed)
    seeds = [p.packed for p in claim.request.prompts if isinstance(p, SeedMask)]
    boxes = [p for p in claim.request.prompts if isinstance(p, Box)]
    mask, dropped = keep_clicked_components(
        left, claim.clicks, grid=grid, seed=seeds[-1] if seeds else None, boxes=boxes
    )
    return Share(mask, notices + dropped)


def _index_of(packed: PackedMask) -> NDArray[np.int64]:
    """The mask's voxels as positions in the whole flattened image, ascending."""
    if packed.box.is_empty:
        return np.zeros(0, dtype=np.int64)
    kji = np.nonzero(packed.inside_box())
    whole = [n + first for n, first in zip(kji, packed.box.start_kji, strict=True)]
    return np.ravel_multi_index(whole, packed.shape_kji)


def _packed(index: NDArray[np.int64], like: PackedMask) -> PackedMask:
    if not len(index):
        return PackedMask.empty(like.shape_kji)
    box: VoxelBox = like.box
    part = np.zeros(box.shape_kji, dtype=bool)
    kji = np.unravel_index(index, like.shape_kji)
    part[tuple(n - first for n, first in zip(kji, box.start_kji, strict=True))] = True
    return PackedMask.of_part(part, box, shape_kji=like.shape_kji)
