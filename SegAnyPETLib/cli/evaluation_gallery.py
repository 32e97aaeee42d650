"""The picture of `seganypet evaluate`: the best, the median and the worst case."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from SegAnyPETLib.evaluation import Case, CaseResult, EvaluationResult
    from SegAnyPETLib.geometry import VoxelBox
    from SegAnyPETLib.report.gallery import GalleryRow
    from SegAnyPETLib.session.packed_mask import PackedMask

LAST_SHOWN_CLICK = 5


class MaskKeeper:
    """A `MaskWriter` that keeps the masks a picture may need, one bit per voxel; of repeats those of the first."""

    def __init__(self) -> None:
        self._masks: dict[tuple[str, int], PackedMask] = {}

    def __call__(self, case: Case, kept: VoxelBox, click: int, mask: NDArray[np.bool_]) -> None:
        """Keep `mask`, which lies in the box `kept` of the case's image."""
        from SegAnyPETLib.session.packed_mask import PackedMask

        if click <= LAST_SHOWN_CLICK and (case.name, click) not in self._masks:
            self._masks[case.name, click] = PackedMask.of_part(mask, kept, shape_kji=case.image.grid.shape_kji)

    def mask_after(self, case: str, click: int) -> NDArray[np.bool_]:
        """The whole mask (K, J, I), a new array.

        Raises:
            KeyError: There was no such click.
        """
        return self._masks[case, click].to_array()


def choose_best_median_worst(result: EvaluationResult) -> dict[str, CaseResult]:
    """The cases with the highest, the middle and the lowest Dice after the first click, of the first repeat.

    Of two middle cases the worse is taken, of equal ones the first by name. Of two cases none is the median, and of one
    there is only the best; of none, which is where the first repeat failed everywhere, there is nothing.
    """
    first = [case for case in result.cases if case.repeat == 0]
    ranked = sorted(first, key=lambda case: (-case.after(1).dice, case.case))
    places = {"best": 0, "median": len(ranked) // 2, "worst": len(ranked) - 1}
    if len(ranked) < 3:
        places = dict(list(zip(("best", "worst"), range(len(ranked)), strict=False)))
    return {name: ranked[place] for name, place in places.items()}


def write_evaluation_gallery(
    path: Path, result: EvaluationResult, masks: MaskKeeper, *, data: Path, method: str, note: str = ""
) -> None:
    """Write the chosen cases as they were after click 1 and click 5, or the last one before it.

    Args:
        path: Ends in .png.
        result: Of the run whose masks were kept.
        masks: Kept during the run.
        data: The folder the cases are read from, again.
        method: What was evaluated.
        note: Printed below, for example what the data's license wants said.

    Raises:
        InputError: A case is gone or has changed.
        OutputError: The picture cannot be written, or no case has a first repeat.
    """
    from SegAnyPETLib.report import write_gallery

    chosen = choose_best_median_worst(result)
    names = list(chosen)
    which = ", ".join(names[:-1]) + f" and {names[-1]} of" if len(names) > 1 else "of"
    protocol = result.protocol
    caption = f"{method}: {which} {len(result.names)} cases by Dice after click 1; first click {protocol.first_click}."
    if protocol.shift is not None:
        caption += f" The method saw the image with {protocol.shift.kind} {protocol.shift.amount:g}."
    caption += " Axial and coronal plane through the deepest voxel of the reference."
    write_gallery(path, _rows(chosen, masks, data), caption=caption, note=note)


def _rows(chosen: dict[str, CaseResult], masks: MaskKeeper, data: Path) -> Iterator[GalleryRow]:
    from SegAnyPETLib.evaluation import read_case
    from SegAnyPETLib.report import GalleryCell, GalleryRow
    from SegAnyPETLib.session import Point

    for place, result in chosen.items():
        case = read_case(data / result.case)
        shown = sorted({1, min(LAST_SHOWN_CLICK, len(result.clicks))})
        cells = [
            GalleryCell(
                f"after click {click}: Dice {result.after(click).dice:.3f}",
                masks.mask_after(result.case, click),
                [Point(lps_mm=each.lps_mm, positive=each.positive) for each in result.clicks[:click]],
            )
            for click in shown
        ]
        yield GalleryRow(f"{place}: {result.case}", case.image, case.reference, cells)
