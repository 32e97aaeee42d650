"""Objects larger than one region are followed, region by region, never cut silently."""

from __future__ import annotations

from collections import deque

from SegAnyPETLib.session.canvas import FOLLOWING_RAMP, Canvas, Window
from SegAnyPETLib.session.object_extent import clicked_object, cut_faces
from SegAnyPETLib.session.prompted_decoder import PromptedDecoder
from SegAnyPETLib.session.region_network import Click

MOST_FOLLOWING_REGIONS = 12  # with the first one, up to four widths in a row, or a block of 2 x 2 x 3 half widths

CUT_NOTICE = (
    "The object is larger than {regions} regions of the model and was followed no further; its mask ends with a "
    "straight face. Click once more beyond that face to go on, or use a negative click if it leaked."
)


def follow_object(
    decoder: PromptedDecoder, canvas: Canvas, first: Window
) -> tuple[Canvas, list[Window], tuple[str, ...]]:
    """Decode further regions as long as the clicked object runs through a face of one.

    Each next region lies half a width further. It is given the user's clicks inside it, or else a positive point at
    the deepest voxel of the mask so far within it, and that mask as prompt. Regions are visited first come, first
    served, each once.

    Args:
        decoder: For this step's prompts.
        canvas: Has `first` painted on it.
        first: The window that holds the click.

    Returns:
        The canvas with all windows, the new windows, and a notice when `MOST_FOLLOWING_REGIONS` ended it.
    """
    image_grid = decoder.network.image.grid
    waiting: deque[tuple[Window, tuple[Click, ...]]] = deque([(first, decoder.clicks)])
    seen = {first.region}
    followed: list[Window] = []
    while waiting:
        window, clicks = waiting.popleft()
        found = clicked_object(window, clicks)
        for axis, sign in cut_faces(window, found, canvas=canvas, image_grid=image_grid):
            region = window.region.shifted(axis, sign)
            if region in seen:
                continue
            if len(followed) == MOST_FOLLOWING_REGIONS:
                return canvas, followed, (CUT_NOTICE.format(regions=len(followed) + 1),)
            seen.add(region)
            own = any(c.positive and region.contains(c.lps_mm) for c in decoder.clicks)
            extra = None if own else decoder.click_in_overlap(region, canvas)
            if not own and extra is None:
                continue
            following = decoder.decode(region, canvas, ramp=FOLLOWING_RAMP, extra_click=extra)
            canvas = canvas.with_window(following)
            followed.append(following)
            waiting.append((following, (*decoder.clicks, extra) if extra else decoder.clicks))
    return canvas, followed, ()
