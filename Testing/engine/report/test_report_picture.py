"""The picture: who is left, true aspect, contours where the lesion is, and no half-written file."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass

import matplotlib.image
import matplotlib.pyplot as plt
import numpy as np
import pytest

from SegAnyPETLib.data import Segment
from SegAnyPETLib.errors import GeometryError, OutputError
from SegAnyPETLib.phantom import centred_grid, nema_phantom
from SegAnyPETLib.report import write_picture
from SegAnyPETLib.suv import SUVVolume


@dataclass(frozen=True)
class Click:
    lps_mm: tuple[float, float, float]
    positive: bool = True


def a_study(orientation="axial", spacing=(3.0, 3.0, 9.0), centre=(40.0, -25.0, 330.0)):
    """A cold box with one hot sphere at the patient's left, anterior, towards the head."""
    shape = tuple(round(160 / s) for s in reversed(spacing))
    grid = centred_grid(shape, spacing, centre_lps_mm=(0.0, 0.0, 300.0), orientation=orientation)
    phantom = nema_phantom(grid=grid, diameters_mm=(37.0,), centres_lps_mm=[centre], background_suv=0.3, sphere_suv=9.0)
    return SUVVolume(phantom.activity_suv, grid), phantom.objects[0]


def pixels_near(picture: np.ndarray, colour: tuple[float, float, float]) -> np.ndarray:
    return np.argwhere(np.abs(picture[..., :3] - colour).max(axis=-1) < 0.06)


def dark_centres(picture: np.ndarray) -> list[tuple[float, float]]:
    """Row and column of the centre of each large black disc, as a share of its panel's... whole picture."""
    from scipy import ndimage

    labels, count = ndimage.label(ndimage.binary_opening(picture[..., :3].max(axis=-1) < 0.08, iterations=6))
    return [ndimage.center_of_mass(labels == n) for n in range(1, count + 1)]


def test_the_sphere_appears_at_the_patients_left_front_and_head_in_every_view(tmp_path):
    image, _ = a_study()
    # Centred beside the sphere, so that it shows off-centre in all five views.
    write_picture(tmp_path / "a.png", image, centre_lps_mm=(30.0, -15.0, 320.0), window_suv=4.0)
    picture = matplotlib.image.imread(tmp_path / "a.png")
    height, width = picture.shape[:2]
    found = sorted((column / width, row / height) for row, column in dark_centres(picture) if column < 0.93 * width)
    assert len(found) == 5
    frames = panel_frames(picture)
    assert len(frames) == 5
    for left, right, top, bottom in frames:
        inside = [(x * width, y * height) for x, y in found if left < x * width < right and top < y * height < bottom]
        assert len(inside) == 1
        x, y = inside[0]
        to_the_right, to_the_top = x > (left + right) / 2, y < (top + bottom) / 2
        is_sagittal = (left, right, top, bottom) in sagittal_of(frames)
        assert to_the_right != is_sagittal  # left of the patient is right on screen; anterior is left on screen
        assert to_the_top  # head, or anterior in the axial plane


def panel_frames(picture: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Left, right, top, bottom of the panels, found by their grey content on white."""
    from scipy import ndimage

    filled = picture[..., :3].max(axis=-1) < 0.985
    labels, _ = ndimage.label(ndimage.binary_opening(ndimage.binary_closing(filled, iterations=3), iterations=20))
    boxes = ndimage.find_objects(labels)
    return [(c.start, c.stop, r.start, r.stop) for r, c in boxes if (c.stop - c.start) * (r.stop - r.start) > 30000]


def sagittal_of(frames: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """The second projection, and the lower left of the three planes."""
    by_column = sorted(frames)
    planes = by_column[2:]
    return [by_column[1], max(planes[:2], key=lambda f: f[2])]


@pytest.mark.parametrize("spacing", [(2.0, 2.0, 10.0), (5.0, 3.0, 3.0)])
@pytest.mark.parametrize("orientation", ["axial", "sagittal", "oblique"])
def test_a_sphere_is_round_whatever_the_voxels_are(tmp_path, spacing, orientation):
    image, _ = a_study(orientation, spacing, centre=(0.0, 0.0, 300.0))
    write_picture(tmp_path / "a.png", image, window_suv=2.0)
    picture = matplotlib.image.imread(tmp_path / "a.png")
    from scipy import ndimage

    labels, count = ndimage.label(ndimage.binary_opening(picture[..., :3].max(axis=-1) < 0.1, iterations=6))
    discs = [b for b in ndimage.find_objects(labels) if b[1].stop < 0.93 * picture.shape[1]]
    assert len(discs) == 5
    assert count <= 6  # and the colour bar
    for rows, columns in discs:
        assert (rows.stop - rows.start) / (columns.stop - columns.start) == pytest.approx(1.0, abs=0.17)


def test_the_contour_has_the_segments_colour_and_surrounds_the_lesion(tmp_path):
    image, sphere = a_study(centre=(0.0, 0.0, 300.0))
    segment = Segment("Lesion", sphere.mask, color_rgb=(0.0, 0.3, 1.0))
    write_picture(tmp_path / "with.png", image, [segment], clicks=[Click((0.0, 0.0, 300.0))])
    write_picture(tmp_path / "without.png", image, clicks=[Click((0.0, 0.0, 300.0))])
    drawn, bare = (matplotlib.image.imread(tmp_path / name) for name in ("with.png", "without.png"))
    assert len(pixels_near(drawn, (0.0, 0.3, 1.0))) > 800
    assert len(pixels_near(bare, (0.0, 0.3, 1.0))) == 0


def test_clicks_are_drawn_by_their_sign(tmp_path):
    image, _ = a_study(centre=(0.0, 0.0, 300.0))
    write_picture(tmp_path / "p.png", image, clicks=[Click((0.0, 0.0, 300.0))])
    write_picture(tmp_path / "n.png", image, clicks=[Click((0.0, 0.0, 300.0)), Click((-30.0, 20.0, 300.0), False)])
    red = (0.910, 0.067, 0.176)
    assert len(pixels_near(matplotlib.image.imread(tmp_path / "p.png"), red)) == 0
    assert len(pixels_near(matplotlib.image.imread(tmp_path / "n.png"), red)) > 100


def test_without_click_or_segment_the_planes_cross_in_the_hottest_voxel(tmp_path):
    image, _ = a_study()
    plain = write_picture(tmp_path / "a.png", image)
    hottest = np.unravel_index(int(image.array.argmax()), image.array.shape)
    k, j, i = (int(n) for n in hottest)
    lps = tuple(float(v) for v in np.asarray(image.grid.ijk_to_lps @ (i, j, k, 1.0))[:3])
    stated = write_picture(tmp_path / "b.png", image, centre_lps_mm=lps)
    assert plain.read_bytes() == stated.read_bytes()


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_an_image_without_uptake_and_a_single_voxel_mask_can_be_shown(tmp_path, value):
    grid = centred_grid((5, 6, 7), (4.0, 4.0, 4.0))
    mask = np.zeros(grid.shape_kji, bool)
    mask[2, 3, 3] = True
    image = SUVVolume(np.full(grid.shape_kji, value, np.float32), grid)
    assert write_picture(tmp_path / "a.png", image, [Segment("tiny", mask)]).stat().st_size > 5000


def test_nothing_global_is_touched(tmp_path):
    before = dict(plt.rcParams)
    image, sphere = a_study()
    write_picture(tmp_path / "a.png", image, [Segment("Läsion $x$", sphere.mask)])
    assert plt.get_fignums() == []
    assert dict(plt.rcParams) == before


def test_what_cannot_be_drawn_is_refused_and_leaves_nothing(tmp_path, monkeypatch):
    image, sphere = a_study()
    with pytest.raises(OutputError, match=r"ending in \.png"):
        write_picture(tmp_path / "a.jpg", image)
    with pytest.raises(GeometryError, match="on the image's grid"):
        write_picture(tmp_path / "a.png", image, [Segment("x", sphere.mask[:-1])])
    with pytest.raises(OutputError, match="positive SUV for black"):
        write_picture(tmp_path / "a.png", image, window_suv=-2.0)

    def full(*_args: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("matplotlib.backends.backend_agg.FigureCanvasAgg.print_png", full)
    with pytest.raises(OutputError, match="No space left"):
        write_picture(tmp_path / "a.png", image)
    assert list(tmp_path.iterdir()) == []
