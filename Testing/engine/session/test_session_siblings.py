"""Several objects in one image, and regions encoded ahead of a click."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from pet_phantoms import ellipsoid, hot, oblique_grid
from rule_model import RuleModel

from SegAnyPETLib.errors import PredictionCancelled, PromptError, SessionError
from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.session import InteractiveSession, Point


def an_image():
    grid = oblique_grid()
    centre = grid.kji_to_lps([20, 26, 30])
    return hot(grid, ellipsoid(grid, centre, (9.0, 12.0, 10.0))), tuple(float(c) for c in centre)


def a_session(image, **preprocessing):
    session = InteractiveSession(RuleModel(**preprocessing))
    session.set_image(image)
    return session


def test_siblings_share_what_is_encoded_but_neither_prompts_nor_masks():
    image, centre = an_image()
    session = a_session(image)
    sibling = session.sibling()
    session.add(Point(centre))
    first = session.predict()
    encoded = len(session.model.encoded)
    assert sibling.prompts == ()
    assert not sibling.mask.any()
    sibling.add(Point(centre))
    same = sibling.predict()
    assert len(session.model.encoded) == encoded
    assert same.packed == first.packed
    assert same.changed == first.changed
    sibling.undo()
    assert session.mask.sum() == first.packed.voxel_count > 0


def test_another_image_in_one_leaves_its_sibling_with_the_old_one():
    image, centre = an_image()
    session = a_session(image)
    sibling = session.sibling()
    other = hot(Grid((40, 40, 40), (2.0, 2.0, 2.0), tuple(np.asarray(centre) - 40.0)))
    session.set_image(other)
    for one in (session, sibling):
        one.add(Point(centre))
    assert session.predict().packed.voxel_count == 0
    fresh = a_session(image)
    fresh.add(Point(centre))
    assert sibling.predict().packed == fresh.predict().packed
    assert fresh.predict().packed.voxel_count > 0


def test_a_sibling_needs_an_image():
    with pytest.raises(SessionError, match="set_image"):
        InteractiveSession(RuleModel()).sibling()


@pytest.mark.parametrize("spacings_mm", [(4.0,), (4.0, 2.0)])
def test_after_preparing_a_first_click_encodes_nothing_and_answers_the_same(spacings_mm):
    image, centre = an_image()
    session, unprepared = (a_session(image, spacings_mm=spacings_mm) for _ in range(2))
    sibling = session.sibling()
    sibling.prepare(centre)
    prepared = len(session.model.encoded)
    assert prepared > 0
    for one in (session, unprepared):
        one.add(Point(centre))
    assert session.predict().packed == unprepared.predict().packed
    assert len(session.model.encoded) == prepared


def test_a_prepared_first_click_is_answered_at_once_and_later_ones_go_on_from_it():
    image, centre = an_image()
    session, unprepared = a_session(image), a_session(image)
    session.prepare(centre)
    session.model.decoded.clear()
    sibling = session.sibling()
    first, second = Point(centre), Point((centre[0], centre[1] + 9.0, centre[2]), positive=False)
    for one in (sibling, unprepared):
        one.add(first)
    assert sibling.predict().packed == unprepared.predict().packed
    assert session.model.decoded == []
    for one in (sibling, unprepared):
        one.add(second)
    assert sibling.predict().packed == unprepared.predict().packed
    session.set_image(image)
    session.model.decoded.clear()
    session.add(first)
    session.predict()
    assert session.model.decoded != []  # another image, even an equal one, was not prepared


def test_preparing_changes_neither_prompts_nor_mask_nor_redo():
    image, centre = an_image()
    session = a_session(image)
    session.add(Point(centre))
    session.predict()
    session.undo()
    session.prepare(tuple(np.asarray(centre) + 5.0))
    assert session.prompts == ()
    assert session.can_redo
    assert not session.mask.any()


def test_only_a_few_prepared_answers_are_kept():
    image, centre = an_image()
    session = a_session(image)
    for n in range(7):
        session.prepare((centre[0] + n, centre[1], centre[2]))
    assert len(session._prepared) == 4


def test_preparing_can_be_cancelled_and_refuses_places_outside():
    image, centre = an_image()
    session = a_session(image)
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(PredictionCancelled):
        session.prepare(centre, cancel=cancel)
    assert session.model.encoded == []
    with pytest.raises(PromptError, match="outside"):
        session.prepare((1e4, 0.0, 0.0))
    with pytest.raises(SessionError):
        InteractiveSession(RuleModel()).prepare(centre)
