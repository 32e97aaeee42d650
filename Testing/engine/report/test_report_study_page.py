"""The report page: outlines where the lesions are, numbers apart from each other, and a word on what is left out."""

from __future__ import annotations

import matplotlib.image
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from SegAnyPETLib.data import Segment
from SegAnyPETLib.errors import GeometryError, OutputError
from SegAnyPETLib.phantom import centred_grid
from SegAnyPETLib.report import PageRow, study_page, write_study_page
from SegAnyPETLib.report.drawing import show_plane
from SegAnyPETLib.report.numbered_outlines import NUMBER_GAP, closed_part, draw_outlines, outline_of
from SegAnyPETLib.report.planes import CORONAL, SAGITTAL, project_maximum
from SegAnyPETLib.suv import SUVVolume, compute_measures

BLUE = (0.0, 0.2, 1.0)
DPI = 130


def an_image(shape=(40, 20, 24), orientation="oblique"):
    grid = centred_grid(shape, (4.1, 5.2, 6.3), centre_lps_mm=(-30.0, 45.0, 1203.0), orientation=orientation)
    return SUVVolume(np.random.default_rng(5).random(shape, dtype=np.float32), grid)


def ball(image, centre_lps_mm, radius_mm):
    points = image.grid.kji_to_lps(np.moveaxis(np.indices(image.grid.shape_kji), 0, -1))
    return np.linalg.norm(points - centre_lps_mm, axis=-1) <= radius_mm


def page(tmp_path, image, masks, *, flagged=(), **options):
    segments = [Segment(f"Lesion {n} $x$", mask, BLUE) for n, mask in enumerate(masks, start=1)]
    rows = [
        PageRow(n, segment.label, compute_measures(image, segment.mask), is_physiological=n in flagged)
        for n, segment in enumerate(segments, start=1)
    ]
    given = {"title": "Study $1", "rows": rows, "notes": ["Rule: $5 and more."], **options}
    write_study_page(tmp_path / "page.png", image, segments, **given)
    return matplotlib.image.imread(tmp_path / "page.png")[..., :3]


def blue(picture):
    return np.argwhere(np.abs(picture - BLUE).max(axis=-1) < 0.06)


def axes_with(image, view, masks, most_numbers=99):
    """The projection of `image` with numbered outlines on a figure of its own."""
    figure = Figure(figsize=(4, 7), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.15, 0.05, 0.7, 0.9))
    flat = project_maximum(image.array, image.grid, view)
    show_plane(axes, flat, view, 1.0)
    outlines = [
        outline_of(closed_part(mask, image.grid), view, number=n, colour=BLUE) for n, mask in enumerate(masks, start=1)
    ]
    figure.canvas.draw()
    draw_outlines(axes, flat, outlines, most_numbers=most_numbers)
    figure.canvas.draw()
    return axes


@pytest.mark.parametrize("orientation", ["axial", "coronal", "sagittal", "oblique"])
@pytest.mark.parametrize("view", [CORONAL, SAGITTAL], ids=lambda view: view.name)
def test_a_line_leads_from_the_number_to_the_lesion(orientation, view):
    image = an_image((30, 32, 28), orientation)
    centres = [(-50.0, 60.0, 1230.0), (-8.0, 20.0, 1190.0)]
    axes = axes_with(image, view, [ball(image, centre, 16.0) for centre in centres])
    numbers = {text.get_text(): text for text in axes.texts if text.get_text().isdigit()}
    assert set(numbers) == {"1", "2"}
    for number, centre in zip("12", centres, strict=True):
        across, up = numbers[number].xy
        assert up == pytest.approx(centre[view.up], abs=4)
        assert abs(across - centre[view.across]) == pytest.approx(16.0, abs=5)


@pytest.mark.parametrize("count", [1, 7, 40])
def test_numbers_stand_apart_and_in_the_order_of_their_lesions(count):
    image = an_image()
    random = np.random.default_rng(count)
    masks = []
    for kji in random.integers((10, 2, 2), (14, 18, 22), size=(count, 3)):  # crowded at one height
        mask = np.zeros(image.grid.shape_kji, bool)
        mask[tuple(kji)] = True
        masks.append(mask)
    axes = axes_with(image, CORONAL, masks)
    texts = [text for text in axes.texts if text.get_text().isdigit()]
    assert len(texts) == count
    low, high = axes.get_ylim()
    for side in ("left", "right"):
        ups = sorted(text.xyann[1] for text in texts if text.get_horizontalalignment() == side)
        gap_mm = NUMBER_GAP * (high - low) / 6.3  # the axes are 6.3 inches high
        assert (np.diff(ups) >= 0.99 * gap_mm).all()
        assert all(low <= up <= high for up in ups)
        on_side = [text for text in texts if text.get_horizontalalignment() == side]
        by_number = [text.xy[1] for text in sorted(on_side, key=lambda text: text.xyann[1])]
        assert by_number == sorted(by_number)


def test_only_the_most_important_lesions_have_a_number():
    image = an_image()
    masks = [ball(image, image.grid.kji_to_lps((5 + n, 10, 12)), 8.0) for n in range(20)]
    axes = axes_with(image, CORONAL, masks, most_numbers=6)
    assert {text.get_text() for text in axes.texts if text.get_text().isdigit()} == set("123456")


def test_lesions_are_outlined_in_both_projections_and_listed(tmp_path):
    image = an_image()
    picture = page(tmp_path, image, [ball(image, (-30.0, 45.0, 1203.0), 30.0)])
    columns = blue(picture)[:, 1] / picture.shape[1]
    parts = np.histogram(columns, bins=8, range=(0, 1))[0]
    assert (parts > 30).sum() >= 2
    assert len(blue(page(tmp_path, image, []))) == 0


def test_physiological_uptake_is_drawn_dashed(tmp_path):
    image = an_image()
    masks = [ball(image, (-30.0, 45.0, 1203.0), 35.0)]
    plain, dashed = (len(blue(page(tmp_path, image, masks, flagged=flagged))) for flagged in ((), (1,)))
    assert 0.2 * plain < dashed < 0.9 * plain


def test_a_long_list_is_cut_with_a_word(tmp_path, monkeypatch):
    image = an_image()
    said = []
    real = study_page._text
    monkeypatch.setattr(study_page, "_text", lambda *given, **style: (said.append(given[3]), real(*given, **style)))
    masks = []
    for n in range(45):
        masks.append(np.zeros(image.grid.shape_kji, bool))
        masks[-1][n % 40, n % 20, n % 24] = True
    picture = page(tmp_path, image, masks, notes=["word " * 3000])
    assert "and 5 more, outlined without a number; the tables hold all 45" in said
    assert "... and more." in said
    assert f"Lesion {study_page.MOST_ROWS} $x$" in said
    assert f"Lesion {study_page.MOST_ROWS + 1} $x$" not in said
    assert picture.shape[0] < 20 * DPI


def test_the_same_page_is_the_same_file(tmp_path):
    image = an_image()
    mask = ball(image, (-30.0, 45.0, 1203.0), 20.0)
    page(tmp_path, image, [mask])
    first = (tmp_path / "page.png").read_bytes()
    page(tmp_path, image, [mask])
    assert (tmp_path / "page.png").read_bytes() == first


def test_what_cannot_be_drawn_leaves_no_file(tmp_path):
    image = an_image()
    mask = ball(image, (-30.0, 45.0, 1203.0), 20.0)
    with pytest.raises(OutputError, match="row"):
        page(tmp_path, image, [mask], rows=[])
    with pytest.raises(OutputError, match=r"page\.pdf"):
        write_study_page(tmp_path / "page.pdf", image, [], title="a", rows=[], notes=[])
    segment, row = Segment("a", mask[1:], BLUE), PageRow(1, "a", compute_measures(image, mask))
    with pytest.raises(GeometryError):
        write_study_page(tmp_path / "page.png", image, [segment], title="a", rows=[row], notes=[])
    assert list(tmp_path.iterdir()) == []
