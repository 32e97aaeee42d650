"""The burden of all lesions, kept up to date: only what changed since the last look is looked at again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from SegAnyPETLib.mrml.lesion import Lesion
from SegAnyPETLib.session.packed_mask import PackedMask

if TYPE_CHECKING:
    from SegAnyPETLib.suv import LesionMeasures, SUVVolume


@dataclass(frozen=True)
class Burden:
    """All lesions of a volume together; a voxel in several of them counts once.

    Attributes:
        mtv_ml: Metabolic tumour volume.
        tlg: Total lesion glycolysis.
        lesions: Number of lesions with a voxel.
        suv_unit: Of the volume's SUV.
        tlg_unit: ``g`` or ``cm2``.
    """

    mtv_ml: float
    tlg: float
    lesions: int
    suv_unit: str
    tlg_unit: str


NO_BURDEN = Burden(0.0, 0.0, 0, "g/ml", "g")


@dataclass(frozen=True, eq=False)
class _Share:
    """What a mask adds to those before it that it may meet."""

    mask: PackedMask
    met: tuple[PackedMask, ...]
    mtv_ml: float
    tlg: float


class BurdenSum:
    """Sums over the lesions of one image at a time.

    A lesion's own sum is taken from its measures where they are known; voxels are looked at only where they are not,
    or where two lesions may meet.
    """

    def __init__(self) -> None:
        self._image: SUVVolume | None = None
        self._shares: list[_Share] = []

    def of(self, image: SUVVolume, lesions: Iterable[Lesion]) -> Burden:
        """The burden of these lesions as they are shown."""
        known = {id(share.mask): share for share in self._shares} if image is self._image else {}
        self._image, self._shares = image, list[_Share]()
        for lesion in lesions:
            mask = lesion.shown
            if mask.box.is_empty:
                continue
            before = (share.mask for share in self._shares)
            met = tuple(other for other in before if not other.box.intersection(mask.box).is_empty)
            share = known.get(id(mask))
            if share is None or [id(other) for other in share.met] != [id(other) for other in met]:
                share = _shareOf(mask, met, image=image, measures=_measuresOf(lesion))
            self._shares.append(share)
        mtv, tlg = sum(share.mtv_ml for share in self._shares), sum(share.tlg for share in self._shares)
        return Burden(mtv, tlg, len(self._shares), image.unit, image.unit.removesuffix("/ml"))


def _measuresOf(lesion: Lesion) -> LesionMeasures | None:
    """The measures of what is shown; None where they are not known."""
    result = lesion.state.result
    return result.measures if result is not None and result.mask is lesion.shown else None


def _shareOf(
    mask: PackedMask, met: tuple[PackedMask, ...], *, image: SUVVolume, measures: LesionMeasures | None
) -> _Share:
    if measures is None:
        mtv, tlg = _sumOver(mask, image)
    else:
        mtv, tlg = measures.mtv_ml, measures.tlg
    for place, other in enumerate(met):
        again, againTLG = _sumOver(_common(mask, other, without=met[:place]), image)
        mtv, tlg = mtv - again, tlg - againTLG
    return _Share(mask, met, mtv, tlg)


def _common(mask: PackedMask, other: PackedMask, *, without: tuple[PackedMask, ...]) -> PackedMask:
    """The voxels in both masks, less those in the masks before."""
    box = mask.box.intersection(other.box)
    both = mask.inside(box) & other.inside(box)
    for counted in without:
        both &= ~counted.inside(box)
    return PackedMask.of_part(both, box, shape_kji=mask.shape_kji)


def _sumOver(mask: PackedMask, image: SUVVolume) -> tuple[float, float]:
    """Volume in ml and TLG of a mask."""
    if mask.box.is_empty:
        return 0.0, 0.0
    ml = image.grid.voxel_volume_ml
    values = image.array[mask.box.slices][mask.inside_box()]
    return values.size * ml, float(values.sum(dtype=np.float64)) * ml
