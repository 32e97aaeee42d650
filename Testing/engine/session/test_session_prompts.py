"""Points, boxes and seeds; and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pet_phantoms import Volume, blurred_ball, dice, ellipsoid, hot, moved, oblique_grid
from rule_model import RuleModel

from SegAnyPETLib.errors import GeometryError, PromptError, SegAnyPETWarning, SessionError
from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.session import Box, InteractiveSession, Point, SeedMask


@pytest.fixture
def grid():
    return oblique_grid()


@pytest.fixture
def centre(grid):
    return grid.kji_to_lps((20, 26, 30))


@pytest.fixture
def two_balls(grid, centre):
    return [ellipsoid(grid, centre + offset, (13, 12, 11)) for offset in ((-20, 0, 0), (20, 0, 0))]


@pytest.fixture
def session(grid, two_balls):
    session = InteractiveSession(RuleModel(roi_shape=(48, 48, 48), spacings_mm=(3.0,)))
    session.set_image(hot(grid, *two_balls))
    return session


def test_a_second_positive_click_adds_a_second_object(session, centre, two_balls):
    session.add(Point(moved(centre, (-20, 0, 0))))
    first = session.predict()
    session.add(Point(moved(centre, (20, 0, 0))))
    second = session.predict()

    assert dice(first.mask, two_balls[0]) > 0.93
    assert dice(second.mask, two_balls[0] | two_balls[1]) > 0.93
    assert len(session.model.encoded) == 1


def test_changed_is_the_box_of_the_second_object(session, centre, two_balls):
    session.add(Point(moved(centre, (-20, 0, 0))))
    first = session.predict()
    session.add(Point(moved(centre, (20, 0, 0))))
    second = session.predict()

    differing = np.argwhere(first.mask ^ second.mask)
    assert second.changed.start_kji == tuple(differing.min(axis=0))
    assert second.changed.stop_kji == tuple(differing.max(axis=0) + 1)


def test_a_negative_click_takes_away_what_lies_around_it(session, centre):
    session.add(Point(moved(centre, (-20, 0, 0))))
    before = session.predict().mask
    session.add(Point(moved(centre, (-31, 0, 0)), positive=False))
    after = session.predict().mask

    assert after.sum() < before.sum()
    assert not (after & ~before).any()


def test_a_negative_click_far_from_everything_costs_nothing_and_changes_nothing(grid):
    far = Grid((100, 100, 100), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0))
    session = InteractiveSession(RuleModel(roi_shape=(24, 24, 24), spacings_mm=(4.0,)))
    session.set_image(hot(far, ellipsoid(far, (80.0, 80.0, 80.0), (20, 20, 20))))
    session.add(Point((80.0, 80.0, 80.0)))
    session.predict()

    session.add(Point((350.0, 350.0, 350.0), positive=False))
    prediction = session.predict()

    assert prediction.changed.is_empty
    assert len(session.model.decoded) == 1


def test_newest_point_models_are_given_one_point_at_a_time(grid, centre, two_balls):
    session = InteractiveSession(RuleModel(roi_shape=(48, 48, 48), spacings_mm=(3.0,), points="newest"))
    session.set_image(hot(grid, *two_balls))
    for offset in (-20, 20, -18):
        session.add(Point(moved(centre, (offset, 0, 0))))
    session.predict()

    assert [len(call["labels"]) for call in session.model.decoded] == [1, 1, 1]


def test_models_that_ask_for_it_are_told_how_far_each_click_reaches(grid, centre, two_balls):
    session = InteractiveSession(RuleModel(roi_shape=(48, 48, 48), spacings_mm=(3.0,), points="reaching"))
    session.set_image(hot(grid, *two_balls))
    session.add(Point(moved(centre, (-20, 0, 0))))
    mask = session.predict().mask
    outside = moved(centre, (-20, 0, 24))
    session.add(Point(outside))
    session.predict()

    coords = session.model.decoded[-1]["coords"]
    kji = np.argwhere(mask)
    nearest_mm = np.linalg.norm(grid.kji_to_lps(kji) - grid.kji_to_lps(grid.nearest_voxel_kji(outside)), axis=1).min()
    assert coords.shape == (2, 4)
    assert coords[0, 3] == 0
    assert float(coords[1, 3]) == pytest.approx(nearest_mm / 3.0, rel=1e-5)


def test_a_second_look_is_given_the_first_answer_as_mask_prompt(grid, centre, two_balls):
    session = InteractiveSession(RuleModel(roi_shape=(48, 48, 48), spacings_mm=(3.0,), first_looks=2))
    session.set_image(hot(grid, *two_balls))
    session.add(Point(moved(centre, (-20, 0, 0))))
    session.predict()

    first, second = session.model.decoded
    assert first["mask_logits"] is None
    expected = 4.0 * (session.model.encoded[0] - session.model.threshold)  # the rule's answer without a mask prompt
    assert torch.equal(second["mask_logits"], expected)
    assert torch.equal(first["coords"], second["coords"])


@pytest.mark.parametrize(("first", "expected"), [("zeros", True), ("none", False)])
def test_the_first_mask_prompt_is_what_the_models_entry_says(grid, centre, two_balls, first, expected):
    session = InteractiveSession(RuleModel(roi_shape=(48, 48, 48), spacings_mm=(3.0,), mask_prompt_first=first))
    session.set_image(hot(grid, *two_balls))
    session.add(Point(moved(centre, (-20, 0, 0))))
    session.predict()

    given = session.model.decoded[0]["mask_logits"]
    assert (given is not None) == expected
    assert given is None or (tuple(given.shape) == (1, 1, 48, 48, 48) and not given.any())


def test_the_next_mask_prompt_is_the_logits_before(session, centre):
    session.add(Point(moved(centre, (-20, 0, 0))))
    session.predict()
    session.add(Point(moved(centre, (20, 0, 0))))
    session.predict()

    volume = session.model.encoded[0]
    expected = 4.0 * (volume - session.model.threshold)
    np.testing.assert_allclose(
        session.model.decoded[1]["mask_logits"], expected, rtol=1e-3, atol=1e-3
    )  # half precision


def test_a_box_finds_the_object_in_it_and_nothing_outside(session, grid, centre, two_balls):
    box = Box(moved(centre, (4, -17, -16)), moved(centre, (36, 17, 16)))
    session.add(box)

    prediction = session.predict()

    assert dice(prediction.mask, two_balls[1]) > 0.93
    assert not prediction.mask[~box.mask_on(grid)].any()


def test_a_box_through_an_object_cuts_it_and_a_click_outside_lifts_the_limit(session, grid, centre, two_balls):
    half = Box(moved(centre, (20, -17, -16)), moved(centre, (36, 17, 16)))
    session.add(half)
    cut = session.predict().mask
    session.add(Point(moved(centre, (12, 0, 0))))
    whole = session.predict().mask

    assert not cut[~half.mask_on(grid)].any()
    assert dice(cut, two_balls[1] & half.mask_on(grid)) > 0.9
    assert dice(whole, two_balls[1]) > 0.93


def test_a_box_clicks_the_hottest_place_of_its_middle(grid, centre):
    image = blurred_ball(grid, moved(centre, (5, 0, 0)), 12.0, edge_mm=24.0)
    session = InteractiveSession(RuleModel(roi_shape=(48, 48, 48), spacings_mm=(3.0,)))
    session.set_image(image)
    session.add(Box(moved(centre, (-22, -22, -22)), moved(centre, (22, 22, 22))))
    session.predict()

    call = session.model.decoded[0]
    region = np.asarray(call["coords"][0]) * 3.0
    # the region is centred within half a lattice step (6 mm) of the box; compare against the tensor itself
    hottest = np.unravel_index(int(session.model.encoded[0][0, 0].argmax()), (48, 48, 48))
    assert np.abs(region - np.array(hottest) * 3.0).max() <= 6.0
    assert call["labels"].tolist() == [1.0]


def test_a_seed_mask_is_the_mask_prompt_and_clicks_may_follow(session, grid, centre, two_balls):
    session.add(SeedMask(two_balls[0]))
    seeded = session.predict().mask
    session.add(Point(moved(centre, (20, 0, 0))))
    both = session.predict().mask

    prompt = session.model.decoded[0]["mask_logits"]
    assert prompt.max() == pytest.approx(6.0, abs=0.1)
    assert prompt.min() == pytest.approx(-6.0)
    assert dice(seeded, two_balls[0]) > 0.93
    assert dice(both, two_balls[0] | two_balls[1]) > 0.93


def test_a_seed_replaces_what_was_predicted_before(session, centre, two_balls):
    session.add(Point(moved(centre, (-20, 0, 0))))
    session.predict()
    session.add(SeedMask(two_balls[1]))
    session.predict()

    assert session.model.decoded[1]["mask_logits"].max() <= 6.0
    assert len(session.model.decoded[1]["labels"]) == 2  # the earlier click still counts as a point


@pytest.mark.parametrize("prompt_kind", ["point", "box"])
def test_prompts_outside_the_image_are_refused_with_their_position(session, prompt_kind):
    prompt = Point((900.0, 1.5, -3.25)) if prompt_kind == "point" else Box((900, 1.5, -3.25), (950, 40, 40))

    with pytest.raises(PromptError, match=r"900\.0, 1\.5, -3\.25"):
        session.add(prompt)

    assert session.prompts == ()


def test_a_seed_of_another_shape_is_refused(session):
    with pytest.raises(PromptError, match=r"\(40, 52, 61\)"):
        session.add(SeedMask(np.ones((61, 52, 40), dtype=bool)))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Point((1.0, 2.0)), "three finite"),
        (lambda: Point((1.0, np.nan, 3.0)), "three finite"),
        (lambda: Point("here"), "position"),
        (lambda: Box((0, 0, 0), (1, 0, 1)), "extent"),
        (lambda: SeedMask(np.zeros((4, 5, 6), dtype=bool)), "no voxel set"),
        (lambda: SeedMask(np.ones((4, 5), dtype=bool)), "2 dimensions"),
    ],
)
def test_a_prompt_is_valid_once_built(build, message):
    with pytest.raises(PromptError, match=message):
        build()


def test_a_box_takes_any_two_opposite_corners():
    assert Box((5, -2, 9), (1, 4, -3)) == Box((1, -2, -3), (5, 4, 9))


def test_calls_in_the_wrong_order_say_what_to_do(grid):
    session = InteractiveSession(RuleModel())
    for call in (session.predict, session.reset, lambda: session.mask, lambda: session.add(Point((0, 0, 0)))):
        with pytest.raises(SessionError, match="set_image"):
            call()
    session.set_image(hot(grid))
    with pytest.raises(SessionError, match="add"):
        session.predict()
    with pytest.raises(SessionError, match="can_undo"):
        session.undo()
    with pytest.raises(SessionError, match="can_redo"):
        session.redo()


def test_an_array_that_does_not_fit_its_grid_is_refused(grid):
    with pytest.raises(GeometryError, match="2, 3, 4"):
        InteractiveSession(RuleModel()).set_image(Volume(np.zeros((2, 3, 4), dtype=np.float32), grid))


def test_voxels_that_are_not_finite_count_as_zero_with_a_warning(grid, centre, two_balls):
    image = hot(grid, *two_balls)
    image.array[3, 4, 5:8] = [np.nan, np.inf, -np.inf]
    session = InteractiveSession(RuleModel(roi_shape=(48, 48, 48), spacings_mm=(3.0,)))

    with pytest.warns(SegAnyPETWarning, match="found 3 voxels"):
        session.set_image(image)
    session.add(Point(moved(centre, (-20, 0, 0))))

    assert dice(session.predict().mask, two_balls[0]) > 0.93
    assert np.isnan(image.array[3, 4, 5])  # the caller's array is his


def test_set_image_starts_afresh(session, grid, centre):
    session.add(Point(moved(centre, (-20, 0, 0))))
    session.predict()
    session.undo()

    session.set_image(hot(grid, ellipsoid(grid, centre, (10, 10, 10))))

    assert session.prompts == ()
    assert not session.can_undo
    assert not session.can_redo
    assert not session.mask.any()
    session.add(Point(tuple(centre)))
    session.predict()
    assert len(session.model.encoded) == 2  # the old embedding was forgotten


def test_a_click_that_finds_nothing_gives_an_empty_mask_with_score_zero(grid, centre):
    session = InteractiveSession(RuleModel(roi_shape=(48, 48, 48), spacings_mm=(3.0, 1.5)))
    session.set_image(hot(grid))
    session.add(Point(tuple(centre)))

    prediction = session.predict()

    assert not prediction.mask.any()
    assert prediction.score == 0.0
    assert prediction.changed.is_empty
    assert not prediction.probability.any()


def test_a_correcting_click_is_obeyed_also_where_the_network_finds_nothing(grid, centre, two_balls):
    """The second click lies in a region of its own, in which nothing is hot: a small spot is added around it."""
    session = InteractiveSession(RuleModel(roi_shape=(16, 16, 16), spacings_mm=(3.0,)))
    session.set_image(hot(grid, two_balls[0]))
    session.add(Point(moved(centre, (-20, 0, 0))))
    before = session.predict().mask
    place = moved(centre, (25, 3, -4))
    session.add(Point(place))

    added = session.predict().mask & ~before

    assert added[grid.nearest_voxel_kji(place)]
    assert np.linalg.norm(grid.kji_to_lps(np.argwhere(added)) - place, axis=1).max() < 12.0
