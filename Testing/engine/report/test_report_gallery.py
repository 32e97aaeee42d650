"""The gallery: masks and clicks where they are, a window for hot lesions, words as they are, no half-written file."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.image
import numpy as np
import pytest
from scipy import ndimage

from SegAnyPETLib.errors import GeometryError, OutputError, PromptError
from SegAnyPETLib.phantom import centred_grid, nema_phantom
from SegAnyPETLib.report import GalleryCell, GalleryRow, write_gallery
from SegAnyPETLib.suv import SUVVolume

MASK, REFERENCE = (0x0A / 255, 0x6E / 255, 0xD1 / 255), (1.0, 0x7F / 255, 0x0E / 255)
DPI, PANE = 130, 2.3


@dataclass(frozen=True)
class Click:
    lps_mm: tuple[float, float, float]
    positive: bool = True


def a_row(*, orientation="oblique", sphere_suv=5.0, shift_mm=(0.0, 0.0, 0.0), clicks=()):
    """A sphere of 30 mm, and a mask of the same shape that is shifted."""
    grid = centred_grid((30, 34, 38), (3.0, 3.5, 4.0), centre_lps_mm=(20.0, -15.0, 300.0), orientation=orientation)
    centre = (22.0, -18.0, 303.0)
    places = [centre, tuple(np.add(centre, shift_mm).tolist())]
    reference, mask = (
        nema_phantom(grid=grid, diameters_mm=(30.0,), centres_lps_mm=[place], sphere_suv=sphere_suv) for place in places
    )
    cells = [GalleryCell("after click 1", mask.objects[0].mask, clicks)]
    return GalleryRow("A", SUVVolume(reference.activity_suv, grid), reference.objects[0].mask, cells)


def drawn(tmp_path, row, **options):
    write_gallery(tmp_path / "a.png", [row], **options)
    return matplotlib.image.imread(tmp_path / "a.png")[..., :3]


def middles(picture, colour):
    """Mean column and row of a colour's pixels in the axial and the coronal pane."""
    side = round(PANE * DPI)
    found = []
    for left in (round(0.15 * DPI), round((0.15 + PANE + 0.06) * DPI)):
        pane = picture[round(0.6 * DPI) : round(0.6 * DPI) + side, left : left + side]
        hits = np.argwhere(np.abs(pane - colour).max(axis=-1) < 0.12)
        assert len(hits) > 20
        found.append((np.ptp(hits[:, 1]) / 2 + hits[:, 1].min(), np.ptp(hits[:, 0]) / 2 + hits[:, 0].min()))
    return np.array(found)


def test_a_mask_beside_the_reference_is_drawn_on_that_side(tmp_path):
    # towards the patient's left, back and head: right on both panes, down in the axial one, up in the coronal one
    picture = drawn(tmp_path, a_row(shift_mm=(9.0, 7.0, 6.0)))
    offset = middles(picture, MASK) - middles(picture, REFERENCE)
    assert (offset[:, 0] > 5).all()
    assert offset[0, 1] > 5
    assert offset[1, 1] < -5


@pytest.mark.parametrize(("place", "is_marked"), [((22.0, -18.0, 303.0), True), ((22.0, -38.0, 323.0), False)])
def test_only_clicks_near_a_plane_are_marked_in_it(tmp_path, place, is_marked):
    without = drawn(tmp_path, a_row())
    with_click = drawn(tmp_path, a_row(clicks=[Click(place, positive=False)]))
    assert (np.abs(with_click - without).max() > 0.5) == is_marked


def test_a_hotter_reference_keeps_its_structure_and_a_usual_one_the_usual_window(tmp_path):
    def darkest(picture):
        """The inside of the sphere, away from all lines."""
        return np.median(picture[round(1.7 * DPI) : round(1.75 * DPI), round(1.3 * DPI) : round(1.35 * DPI)])

    usual = darkest(drawn(tmp_path, a_row(sphere_suv=5.0)))
    assert usual == pytest.approx(0.0, abs=0.05)  # nothing in the image is above 5, which is black then
    row = a_row()
    array = np.array(row.image.array)
    array[row.reference] = np.linspace(8.0, 30.0, row.reference.sum())
    hot = GalleryRow("A", SUVVolume(array, row.image.grid), row.reference, row.cells)
    assert 0.15 < darkest(drawn(tmp_path, hot)) < 0.6  # about 19 of 29; black were the window the usual 7


def test_names_and_notes_with_dollar_signs_are_written_as_they_are(tmp_path):
    row = a_row()
    plain = drawn(tmp_path, row, caption="c", note="n")
    long = drawn(tmp_path, GalleryRow("$x_{$ & $", row.image, row.reference, row.cells), note="costs $5 and $6. " * 30)
    assert long.shape[0] > plain.shape[0] + DPI // 2  # a long note is wrapped and gets the lines it needs
    assert long.shape[1] == plain.shape[1]


def test_an_empty_mask_and_a_tiny_reference_are_drawn(tmp_path):
    row = a_row()
    tiny = np.zeros_like(row.reference)
    tiny[0, 0, 0] = True
    picture = drawn(tmp_path, GalleryRow("A", row.image, tiny, [GalleryCell("none", np.zeros_like(tiny))]))
    assert np.ptp(picture) == pytest.approx(1.0, abs=0.1)
    labels, _ = ndimage.label(np.abs(picture - MASK).max(axis=-1) < 0.05)
    assert labels[: round(2.8 * DPI)].max() == 0


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda row: [], OutputError),
        (lambda row: [GalleryRow("A", row.image, row.reference, [])], OutputError),
        (lambda row: [GalleryRow("A", row.image, np.zeros_like(row.reference), row.cells)], PromptError),
        (lambda row: [GalleryRow("A", row.image, row.reference[1:], row.cells)], GeometryError),
    ],
)
def test_what_cannot_be_drawn_is_an_error_and_leaves_no_file(tmp_path, change, error):
    with pytest.raises(error):
        write_gallery(tmp_path / "a.png", change(a_row()))
    assert list(tmp_path.iterdir()) == []


def test_a_name_of_another_format_is_refused(tmp_path):
    with pytest.raises(OutputError, match=r"a\.pdf"):
        write_gallery(tmp_path / "a.pdf", [a_row()])
