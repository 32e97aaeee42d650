"""Objects larger than one region are followed, region by region, never cut silently."""

from __future__ import annotations

from dataclasses import dataclass

from SegAnyPETLib.preprocess import Region
from SegAnyPETLib.session.canvas import Canvas, Window
from SegAnyPETLib.session.object_extent import FACES, BoolArray, clicked_object, voxels_cut
from SegAnyPETLib.session.prompted_decoder import PromptedDecoder
from SegAnyPETLib.session.region_network import Click

MOST_FOLLOWING_REGIONS = 12

CUT_NOTICE = (
    "The object is larger than {regions} regions of the model and was followed no further; its mask may end with a "
    "straight face. Click once more beyond that face to go on, or use a negative click if it leaked."
)


@dataclass(frozen=True, eq=False)
class _Found:
    """A window and the parts of the object seen in it."""

    window: Window
    object: BoolArray


def follow_object(
    decoder: PromptedDecoder, canvas: Canvas, first: Window
) -> tuple[Canvas, list[Window], tuple[str, ...]]:
    """Decode further regions as long as the clicked object runs through a face of one.

    Each next region lies half a width further, beyond the face through which most of the object runs. It is given
    the user's clicks inside it, or else a positive point at the deepest voxel of the mask so far within it, and that
    mask as prompt. No region is decoded twice.

    Args:
        decoder: For this step's prompts.
        canvas: Has `first` painted on it.
        first: The window that holds the click.

    Returns:
        The canvas with all windows, the new windows, and a notice when `MOST_FOLLOWING_REGIONS` ended it.
    """
    found = [_Found(first, clicked_object(first, decoder.clicks))]
    tried = {first.region}
    followed: list[Window] = []
    while (widest := _widest_cut(decoder, canvas, found, tried)) is not None:
        if len(followed) == MOST_FOLLOWING_REGIONS:
            return canvas, followed, (CUT_NOTICE.format(regions=len(followed) + 1),)
        tried.add(widest)
        own = any(click.positive and widest.contains(click.lps_mm) for click in decoder.clicks)
        extra = None if own else decoder.click_in_overlap(widest, canvas)
        if not own and extra is None:
            continue
        window = decoder.decode(widest, canvas, extra_click=extra)
        canvas = canvas.with_window(window)
        followed.append(window)
        clicks: tuple[Click, ...] = (*decoder.clicks, extra) if extra else decoder.clicks
        found.append(_Found(window, clicked_object(window, clicks)))
    return canvas, followed, ()


def _widest_cut(decoder: PromptedDecoder, canvas: Canvas, found: list[_Found], tried: set[Region]) -> Region | None:
    """The untried region beyond the face that cuts most voxels of the object; of equals the one found first."""
    image_grid = decoder.network.image.grid
    best: tuple[int, Region] | None = None
    for part in found:
        for face in FACES:
            region = part.window.region.shifted(face.axis, face.sign)
            if region in tried:
                continue
            cut = voxels_cut(part.window, part.object, face, canvas=canvas, image_grid=image_grid)
            if cut and (best is None or cut > best[0]):
                best = cut, region
    return best[1] if best else None
