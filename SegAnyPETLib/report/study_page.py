"""The report page of a study: projections from the front and the left with numbered lesions, and their measures."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SegAnyPETLib.data.segment import as_mask
from SegAnyPETLib.errors import OutputError
from SegAnyPETLib.report.drawing import (
    BAR_LENGTHS_MM,
    FAINT,
    INK,
    require_png_name,
    show_plane,
    usual_window_suv,
    write_figure,
)
from SegAnyPETLib.report.numbered_outlines import GUTTER, Outline, closed_part, draw_outlines, outline_of
from SegAnyPETLib.report.planes import CORONAL, SAGITTAL, FlatImage, project_maximum
from SegAnyPETLib.version import __version__

if TYPE_CHECKING:
    from SegAnyPETLib.data import Segment
    from SegAnyPETLib.suv import LesionMeasures, SUVVolume

Figure = Any  # matplotlib ships no types that mypy follows

VIEWS = (CORONAL, SAGITTAL)
MOST_ROWS = 40  # lines of the table; as many lesions have a number in the projections
MOST_NOTE_LINES = 40
EDGE, TITLE, PROJECTION, BAR = 0.25, 0.5, 6.7, 0.75  # inches, as all that follow
WIDEST, VIEW_GAP, TABLE_GAP = 7.0, 0.25, 0.35
ROW, HEAD, LINE, PARAGRAPH = 0.165, 0.36, 0.155, 0.07
TABLE, LONGEST_BAR = 6.3, 0.8
CHARACTERS_PER_INCH = 16.5  # at 8 points, with room for wide letters
ZEBRA = "#f3f4f6"


@dataclass(frozen=True)
class PageRow:
    """One line of the table.

    Attributes:
        number: As drawn beside the lesion.
        label: Its name.
        measures: Of its mask.
        flag: A remark of a few words, for example that it was corrected; may be empty.
        is_physiological: Probably normal uptake: drawn dashed and in grey.
    """

    number: int
    label: str
    measures: LesionMeasures
    flag: str = ""
    is_physiological: bool = False


@dataclass(frozen=True)
class _Column:
    """Of the table: its right edge, or its left one for text, in inches from the table's left edge."""

    name: str
    place: float
    is_text: bool = False
    longest: int = 0  # characters of a text


_COLUMNS = (
    _Column("no.", 0.3),
    _Column("lesion", 0.42, is_text=True, longest=25),
    _Column("SUVmax", 2.45),
    _Column("mean", 2.95),
    _Column("peak", 3.45),
    _Column("MTV", 4.1),
    _Column("TLG", 4.75),
    _Column("remark", 4.9, is_text=True, longest=21),
)


def write_study_page(
    path: Path | str,
    image: SUVVolume,
    segments: Sequence[Segment],
    *,
    title: str,
    rows: Sequence[PageRow],
    notes: Sequence[str],
) -> Path:
    """Write a PNG page: maximum projections, coronal and sagittal, beside a table of measures, and notes below it.

    PET is shown inverted (black is high) from SUV 0 to 7, or to the highest value where that is lower, in radiological
    orientation and true to scale on any grid. Every lesion is outlined in its segment's colour. The first forty are
    numbered and have a line in the table; how many follow is said.

    Args:
        path: Ends in .png.
        image: The SUV volume.
        segments: Masks on the grid of `image`; may be none.
        title: A line on top. No patient identifiers are added.
        rows: One for each segment, in the same order.
        notes: Paragraphs below the table: totals, rule, model.

    Raises:
        GeometryError: A mask does not fit the image.
        OutputError: The name does not end in .png, rows and segments do not go together, or the file cannot be written.
    """
    path = require_png_name(path)
    if len(rows) != len(segments):
        msg = f"Expected one row for each segment; found {len(rows)} rows and {len(segments)} segments."
        raise OutputError(msg)
    for segment in segments:
        as_mask(segment.mask, grid=image.grid)
    write_figure(path, _figure(image, segments, title, rows, _wrapped(notes)))
    return path


def _wrapped(notes: Sequence[str]) -> list[list[str]]:
    kept: list[list[str]] = []
    for note in notes:
        paragraph, room = textwrap.wrap(note, round(TABLE * CHARACTERS_PER_INCH)), MOST_NOTE_LINES - sum(map(len, kept))
        if len(paragraph) > room:
            kept.append([*paragraph[:room], "... and more."])
            break
        kept.append(paragraph)
    return [*kept, [f"SegAnyPET {__version__}, for research only: not for diagnosis."]]


def _figure(
    image: SUVVolume, segments: Sequence[Segment], title: str, rows: Sequence[PageRow], notes: Sequence[Sequence[str]]
) -> Figure:
    from matplotlib.figure import Figure as NewFigure

    flats = [project_maximum(image.array, image.grid, view) for view in VIEWS]
    scale = _inches_per_mm(flats)
    widths = [scale * (flat.extent_mm[1] - flat.extent_mm[0]) for flat in flats]
    tall = scale * (flats[0].extent_mm[3] - flats[0].extent_mm[2])
    table_left = EDGE + sum(widths) + 4 * GUTTER + VIEW_GAP + TABLE_GAP
    beside = HEAD + (min(len(rows), MOST_ROWS) + 1.5) * ROW + sum(len(n) * LINE + PARAGRAPH for n in notes)
    height = EDGE + TITLE + max(tall + BAR, beside) + EDGE
    figure = NewFigure(figsize=(table_left + TABLE + EDGE, height), dpi=130, facecolor="white")
    top = height - EDGE
    _text(figure, EDGE, top, title, fontsize=11, weight="bold", color=INK)
    top -= TITLE
    window, left, shown = usual_window_suv(image), EDGE + GUTTER, None
    outlines = _outlines(image, segments, rows)
    for view, flat, width, drawn in zip(VIEWS, flats, widths, outlines, strict=True):
        axes = figure.add_axes(_area(figure, left, top - tall, width, tall))
        shown = show_plane(axes, flat, view, window)
        for letter in axes.texts:
            letter.set_zorder(0.5)  # above the image and below the outlines
        axes.set_title(f"{view.name}, maximum", fontsize=8.5, color=INK, pad=4)
        draw_outlines(axes, flat, drawn, most_numbers=MOST_ROWS)
        left += width + 2 * GUTTER + VIEW_GAP
    middle = (EDGE + GUTTER + left - GUTTER - VIEW_GAP) / 2
    _draw_scale(figure, EDGE + GUTTER, top - tall - 0.22, inches_per_mm=scale)
    _draw_colour_bar(figure, shown, image, middle=middle + 0.3, top=top - tall)
    bottom = _draw_table(figure, table_left, top, rows, segments, image)
    _draw_notes(figure, table_left, bottom, notes)
    return figure


def _inches_per_mm(flats: Sequence[FlatImage]) -> float:
    """One scale for both projections, so that heights can be compared by eye."""
    across_mm = sum(flat.extent_mm[1] - flat.extent_mm[0] for flat in flats)
    return min(PROJECTION / (flats[0].extent_mm[3] - flats[0].extent_mm[2]), WIDEST / across_mm)


def _outlines(image: SUVVolume, segments: Sequence[Segment], rows: Sequence[PageRow]) -> list[list[Outline]]:
    """For each view, those of all segments with a voxel."""
    found: list[list[Outline]] = [[] for _ in VIEWS]
    for segment, row in zip(segments, rows, strict=True):
        if segment.mask.any():
            part = closed_part(segment.mask, image.grid)
            for view, outlines in zip(VIEWS, found, strict=True):
                colour, is_dashed = segment.color_rgb, row.is_physiological
                outlines.append(outline_of(part, view, number=row.number, colour=colour, is_dashed=is_dashed))
    return found


def _draw_scale(figure: Figure, left: float, height: float, *, inches_per_mm: float) -> None:
    """Below the projections, where it covers no lesion."""
    from matplotlib.lines import Line2D

    length_mm = next((n for n in BAR_LENGTHS_MM if n * inches_per_mm <= LONGEST_BAR), BAR_LENGTHS_MM[-1])
    across, up = figure.get_size_inches()
    ends = [left / across, (left + length_mm * inches_per_mm) / across]
    figure.add_artist(Line2D(ends, [height / up] * 2, color=INK, linewidth=2))
    _text(figure, left, height - 0.05, f"{length_mm / 10:g} cm", fontsize=7, color=INK)


def _draw_colour_bar(figure: Figure, shown: Any, image: SUVVolume, *, middle: float, top: float) -> None:
    area = _area(figure, middle - 1.3, top - 0.3, 2.6, 0.11)
    bar = figure.colorbar(shown, cax=figure.add_axes(area), orientation="horizontal", extend="max", extendfrac=0.03)
    bar.set_label(
        f"SUV{image.kind} ({image.unit}), highest in the image {image.values.high:.1f}", fontsize=8, color=INK
    )
    bar.ax.tick_params(labelsize=7, colors=INK, length=2, pad=1.5)
    bar.outline.set_linewidth(0.5)


def _draw_table(
    figure: Figure,
    left: float,
    top: float,
    rows: Sequence[PageRow],
    segments: Sequence[Segment],
    image: SUVVolume,
) -> float:
    """Return how high above the page's bottom the table ends."""
    tlg_unit = image.unit.removesuffix("/ml")
    units = ("", "", image.unit, image.unit, image.unit, "ml", tlg_unit, "")
    for column, unit in zip(_COLUMNS, units, strict=True):
        _cell(figure, left, top, column, column.name, weight="bold", color=INK)
        _cell(figure, left, top - 0.14, column, unit, color=FAINT)
    top -= HEAD
    _rule(figure, left, top + 0.045)
    for place, (row, segment) in enumerate(zip(rows[:MOST_ROWS], segments, strict=False)):
        if place % 2:
            _band(figure, left, top - ROW + 0.018)
        _draw_row(figure, left, top - 0.012, row, segment)
        top -= ROW
    if len(rows) > MOST_ROWS:
        words = f"and {len(rows) - MOST_ROWS} more, outlined without a number; the tables hold all {len(rows)}"
        _text(figure, left + _COLUMNS[1].place, top, words, fontsize=8, color=FAINT, style="italic")
        top -= ROW
    elif not rows:
        _text(figure, left + _COLUMNS[1].place, top, "no lesion", fontsize=8, color=FAINT, style="italic")
        top -= ROW
    _rule(figure, left, top + 0.005)
    return top - 0.09


def _draw_row(figure: Figure, left: float, top: float, row: PageRow, segment: Segment) -> None:
    from matplotlib.colors import to_hex

    m = row.measures
    texts = (
        str(row.number),
        row.label,
        f"{m.suv_max:.2f}",
        f"{m.suv_mean:.2f}",
        f"{m.suv_peak:.2f}",
        _rounded(m.mtv_ml),
        _rounded(m.tlg),
        row.flag,
    )
    ink = FAINT if row.is_physiological else INK
    for column, text in zip(_COLUMNS, texts, strict=True):
        style = {"color": to_hex(segment.color_rgb), "weight": "bold"} if column is _COLUMNS[0] else {"color": ink}
        if row.is_physiological:
            style["style"] = "italic"
        _cell(figure, left, top, column, text, **style)


def _draw_notes(figure: Figure, left: float, top: float, notes: Sequence[Sequence[str]]) -> None:
    for number, paragraph in enumerate(notes):
        for line in paragraph:
            colour = FAINT if number == len(notes) - 1 else INK
            _text(figure, left, top, line, fontsize=8, color=colour)
            top -= LINE
        top -= PARAGRAPH


def _rounded(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"


def _cell(figure: Figure, left: float, top: float, column: _Column, text: str, **style: Any) -> None:
    if column.longest and len(text) > column.longest:
        text = text[: column.longest - 1].rstrip() + "…"
    side = "left" if column.is_text else "right"
    _text(figure, left + column.place, top, text, ha=side, **{"fontsize": 8, **style})


def _text(figure: Figure, left: float, top: float, text: str, **style: Any) -> None:  # properties of matplotlib's text
    """At inches from the left and the bottom; a $ in a name or note is a dollar, not mathematics."""
    width, height = figure.get_size_inches()
    figure.text(left / width, top / height, text, va="top", parse_math=False, **style)


def _area(figure: Figure, left: float, bottom: float, width: float, height: float) -> tuple[float, float, float, float]:
    across, up = figure.get_size_inches()
    return left / across, bottom / up, width / across, height / up


def _rule(figure: Figure, left: float, height: float) -> None:
    from matplotlib.lines import Line2D

    across, up = figure.get_size_inches()
    places = [left / across, (left + TABLE) / across], [height / up] * 2
    figure.add_artist(Line2D(*places, color=FAINT, linewidth=0.6))


def _band(figure: Figure, left: float, bottom: float) -> None:
    from matplotlib.patches import Rectangle

    x, y, width, height = _area(figure, left, bottom, TABLE, ROW)
    figure.add_artist(Rectangle((x, y), width, height, color=ZEBRA, linewidth=0, zorder=0))
