"""Objects larger than a region, and objects small enough for a finer one."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from pet_phantoms import dice, ellipsoid, hot, moved, oblique_grid
from rule_model import RuleModel

from SegAnyPETLib.errors import SegAnyPETWarning
from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.session import InteractiveSession, Point, SeedMask, following

LONG = {"shape_kji": (60, 44, 50), "spacing_ijk_mm": (3.1, 2.7, 4.2)}


def session_on(image, **preprocessing):
    session = InteractiveSession(RuleModel(**preprocessing))
    session.set_image(image)
    return session


@pytest.mark.parametrize("tensor_axes", ["kji_lps", "ijk_ras"])
@pytest.mark.parametrize("start", [0.0, 0.9, -0.9])
def test_a_long_object_is_followed_from_wherever_it_is_clicked(tensor_axes, start):
    grid = oblique_grid(**LONG)
    centre = grid.kji_to_lps((30, 22, 25))
    radii = (14.0, 13.0, 95.0)  # 190 mm long; a region is 72 mm wide
    truth = ellipsoid(grid, centre, radii)
    session = session_on(hot(grid, truth), roi_shape=(24, 24, 24), spacings_mm=(3.0,), tensor_axes=tensor_axes)

    session.add(Point(moved(centre, (0.0, 0.0, start * radii[2]))))
    prediction = session.predict()

    assert dice(prediction.mask, truth) > 0.95
    assert prediction.notices == ()


def test_regions_join_without_a_seam():
    """The network is told nothing of regions, so the joined answer must equal that of one region around everything."""
    grid = oblique_grid(**LONG)
    centre = grid.kji_to_lps((30, 22, 25))
    image = hot(grid, ellipsoid(grid, centre, (15.0, 13.0, 90.0)))
    pieces = session_on(image, roi_shape=(24, 24, 24), spacings_mm=(3.0,))
    whole = session_on(image, roi_shape=(96, 96, 96), spacings_mm=(3.0,))
    for session in (pieces, whole):
        session.add(Point(tuple(centre)))

    joined, single = pieces.predict(), whole.predict()

    assert len(pieces.model.decoded) > 3
    assert len(whole.model.decoded) == 1
    assert dice(joined.mask, single.mask) > 0.99
    both = (joined.probability > 0.06) & (single.probability > 0.06)
    assert np.abs(joined.probability - single.probability)[both].max() < 0.12  # the mask prompt differs a little


def test_each_next_region_is_given_a_point_and_the_mask_so_far():
    grid = oblique_grid(**LONG)
    centre = grid.kji_to_lps((30, 22, 25))
    session = session_on(
        hot(grid, ellipsoid(grid, centre, (15.0, 13.0, 90.0))), roi_shape=(24, 24, 24), spacings_mm=(3.0,)
    )
    session.add(Point(tuple(centre)))

    session.predict()

    for call in session.model.decoded[1:]:
        assert call["labels"].tolist() == [1.0]
        assert ((call["coords"] >= -0.5) & (call["coords"] <= 23.5)).all()
        assert (call["mask_logits"] > 0).any()


def test_an_object_that_ends_at_the_border_of_the_image_is_not_followed_beyond():
    grid = Grid((20, 20, 20), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0))
    session = session_on(hot(grid, np.ones(grid.shape_kji, dtype=bool)), roi_shape=(32, 32, 32), spacings_mm=(4.0,))
    session.add(Point((38.0, 38.0, 38.0)))

    prediction = session.predict()

    assert prediction.mask.all()
    assert len(session.model.decoded) == 1


def test_an_object_without_end_is_cut_with_a_warning_never_silently():
    grid = Grid((90, 90, 90), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0))
    session = session_on(hot(grid, np.ones(grid.shape_kji, dtype=bool)), roi_shape=(16, 16, 16), spacings_mm=(4.0,))
    session.add(Point((180.0, 180.0, 180.0)))

    with pytest.warns(SegAnyPETWarning, match="larger than 13 regions"):
        prediction = session.predict()

    assert len(session.model.encoded) == 13
    assert "larger than 13 regions" in prediction.notices[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        session.predict()  # the notice stays on the prediction, the warning came once


def test_another_click_at_the_cut_goes_on_from_there():
    grid = Grid((20, 20, 250), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0))
    truth = np.zeros(grid.shape_kji, dtype=bool)
    truth[8:12, 8:12, 10:240] = True  # 920 mm of a tube, regions of 64 mm in steps of 32 mm
    session = session_on(hot(grid, truth), roi_shape=(16, 16, 16), spacings_mm=(4.0,))
    session.add(Point((500.0, 40.0, 40.0)))
    with pytest.warns(SegAnyPETWarning):
        before = session.predict().mask.sum()

    session.add(Point((750.0, 40.0, 40.0)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SegAnyPETWarning)
        after = session.predict()

    assert after.mask.sum() > before
    assert not (after.mask & ~truth).any()


def test_a_small_object_is_decoded_again_at_the_finer_spacing():
    grid = oblique_grid(spacing_ijk_mm=(1.6, 1.4, 1.9))
    centre = grid.kji_to_lps((20, 26, 30))
    truth = ellipsoid(grid, centre, (9.0, 7.0, 8.0))
    coarse = session_on(hot(grid, truth), roi_shape=(32, 32, 32), spacings_mm=(4.0,))
    fine = session_on(hot(grid, truth), roi_shape=(32, 32, 32), spacings_mm=(4.0, 2.0))
    for session in (coarse, fine):
        session.add(Point(tuple(centre)))

    coarse_dice, fine_dice = (dice(session.predict().mask, truth) for session in (coarse, fine))

    assert len(fine.model.encoded) == len(fine.model.decoded) == 2
    assert fine_dice > max(coarse_dice, 0.9)


def test_another_click_in_the_finer_region_costs_one_decode():
    grid = oblique_grid(spacing_ijk_mm=(1.6, 1.4, 1.9))
    centre = grid.kji_to_lps((20, 26, 30))
    session = session_on(
        hot(grid, ellipsoid(grid, centre, (9.0, 7.0, 8.0))), roi_shape=(32, 32, 32), spacings_mm=(4.0, 2.0)
    )
    session.model.clear_voxels = 1.5
    session.add(Point(tuple(centre)))
    session.predict()

    session.add(Point(moved(centre, (3.0, 2.0, -2.0)), positive=False))
    session.predict()

    assert len(session.model.encoded) == 2
    assert len(session.model.decoded) == 3


def test_an_object_that_outgrows_the_finer_region_goes_back_to_the_start_spacing():
    """The second click joins a tail to a small object; the finer region would cut it."""
    grid = Grid((40, 40, 90), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0))
    small = ellipsoid(grid, (60.0, 40.0, 40.0), (8.0, 8.0, 8.0))
    tail = ellipsoid(grid, (95.0, 40.0, 40.0), (25.0, 7.0, 7.0))
    session = session_on(hot(grid, small), roi_shape=(32, 32, 32), spacings_mm=(4.0, 2.0))
    session.add(Point((60.0, 40.0, 40.0)))
    session.predict()
    session.model.threshold = -1.0  # from now on everything is object: it cannot fit into the finer region

    session.add(Point((80.0, 40.0, 40.0)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SegAnyPETWarning)
        prediction = session.predict()

    assert prediction.mask[tail].all()


def test_two_small_objects_far_apart_each_keep_their_finer_region():
    grid = Grid((40, 40, 90), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0))
    balls = [ellipsoid(grid, (x, 40.0, 40.0), (9.0, 9.0, 9.0)) for x in (50.0, 110.0)]
    session = session_on(hot(grid, *balls), roi_shape=(48, 48, 48), spacings_mm=(4.0, 1.5))
    for x in (50.0, 110.0):
        session.add(Point((x, 40.0, 40.0)))

    prediction = session.predict()

    assert len(session.model.encoded) == 3  # one coarse region sees both, each has a finer one
    assert dice(prediction.mask, balls[0] | balls[1]) > 0.95


def test_a_seed_larger_than_a_region_is_followed_too():
    grid = oblique_grid(**LONG)
    centre = grid.kji_to_lps((30, 22, 25))
    truth = ellipsoid(grid, centre, (14.0, 13.0, 95.0))
    session = session_on(hot(grid, truth), roi_shape=(24, 24, 24), spacings_mm=(3.0,))

    session.add(SeedMask(ellipsoid(grid, centre, (8.0, 8.0, 80.0))))

    assert dice(session.predict().mask, truth) > 0.95


def test_an_object_too_small_for_the_start_spacing_is_looked_for_at_the_finest():
    grid = oblique_grid(spacing_ijk_mm=(1.6, 1.4, 1.9))
    centre = grid.kji_to_lps((20, 26, 30))
    truth = ellipsoid(grid, centre, (3.2, 3.2, 3.2))  # about a third of one 8 mm voxel
    coarse = session_on(hot(grid, truth), roi_shape=(32, 32, 32), spacings_mm=(8.0,))
    fine = session_on(hot(grid, truth), roi_shape=(32, 32, 32), spacings_mm=(8.0, 1.5))
    for session in (coarse, fine):
        session.add(Point(tuple(centre)))

    assert not coarse.predict().mask.any()
    assert dice(fine.predict().mask, truth) > 0.8
    assert len(fine.model.encoded) == 2


class FadingModel(RuleModel):
    """A faint click is answered with all tissue in view, another with what is at least half as hot."""

    def decode(self, embedding, *, points=None, mask_logits=None):
        suv = torch.expm1(embedding)
        coords, _ = points
        d, h, w = coords[0, 0].round().long().tolist()
        click = suv[0, 0, d, h, w]
        limit = 0.5 if click < 7 else 0.5 * click
        self.decoded.append({"mask_logits": mask_logits})
        return suv - limit, torch.zeros(1, 1)


@pytest.mark.parametrize(("radius_mm", "is_found"), [(4.4, True), (3.2, False)])  # 0.36 and 0.14 ml
@pytest.mark.filterwarnings("ignore::SegAnyPETLib.errors.SegAnyPETWarning")
def test_a_focus_that_fades_at_the_start_spacing_is_found_at_the_finest_but_a_speck_is_not(
    radius_mm, is_found, monkeypatch
):
    monkeypatch.setattr(following, "MOST_FOLLOWING_REGIONS", 1)
    grid = oblique_grid(shape_kji=(60, 66, 72), spacing_ijk_mm=(1.6, 1.5, 1.7))
    centre = tuple(grid.kji_to_lps((31.2, 33.4, 35.1)))
    truth = ellipsoid(grid, centre, (radius_mm,) * 3)
    session = InteractiveSession(FadingModel(roi_shape=(16, 16, 16), spacings_mm=(8.0, 2.0)))
    session.set_image(hot(grid, truth))
    session.add(Point(centre))

    mask = session.predict().mask

    if is_found:
        assert dice(mask, truth) > 0.7
        assert session.model.decoded[1]["mask_logits"] is None  # the runaway answer must not be believed
    else:
        assert mask.sum() > 50 * truth.sum()


class PatchModel(RuleModel):
    """At the start spacing everything warm is object, at a finer one what lies within three voxels of the click."""

    def decode(self, embedding, *, points=None, mask_logits=None):
        coords, _ = points
        self.decoded.append({"mask_logits": mask_logits})
        if len(self.encoded) == 1:
            return torch.expm1(embedding) - 0.5, torch.zeros(1, 1)
        axes = torch.meshgrid(*[torch.arange(float(n)) for n in embedding.shape[2:]], indexing="ij")
        distance = sum((axis - at) ** 2 for axis, at in zip(axes, coords[0, 0, :3], strict=True)).sqrt()
        return (3.0 - distance)[None, None], torch.zeros(1, 1)


def test_a_piece_of_even_tissue_is_not_taken_for_a_focus(monkeypatch):
    """The fine answer is 0.9 ml, hundreds of times smaller than the coarse one, but as warm as all around it."""
    monkeypatch.setattr(following, "MOST_FOLLOWING_REGIONS", 0)
    grid = oblique_grid(shape_kji=(60, 66, 72), spacing_ijk_mm=(3.6, 3.5, 3.7))
    centre = tuple(grid.kji_to_lps((31.2, 33.4, 35.1)))
    organ = ellipsoid(grid, centre, (50.0, 42.0, 46.0))
    session = InteractiveSession(PatchModel(roi_shape=(32, 32, 32), spacings_mm=(4.0, 2.0)))
    session.set_image(hot(grid, organ))
    session.add(Point(centre))

    assert session.predict().mask.sum() > 0.9 * organ.sum()


@pytest.mark.filterwarnings("ignore::SegAnyPETLib.errors.SegAnyPETWarning")
def test_only_the_very_first_click_is_looked_at_more_closely(monkeypatch):
    monkeypatch.setattr(following, "MOST_FOLLOWING_REGIONS", 0)
    grid = oblique_grid(shape_kji=(60, 66, 72), spacing_ijk_mm=(1.6, 1.5, 1.7))
    centre = tuple(grid.kji_to_lps((31.2, 33.4, 35.1)))
    session = InteractiveSession(FadingModel(roi_shape=(16, 16, 16), spacings_mm=(8.0, 2.0)))
    session.set_image(hot(grid, ellipsoid(grid, centre, (3.2,) * 3)))
    session.add(Point(centre))
    session.predict()
    encoded = len(session.model.encoded)
    session.add(Point(moved(centre, (6, -5, 4))))
    session.predict()

    assert len(session.model.encoded) == encoded  # the known region again, none finer
