"""Undo, redo, determinism, cancelling and failing: the session's promises about its own state."""

from __future__ import annotations

import threading
import warnings

import numpy as np
import pytest
from pet_phantoms import ellipsoid, hot, moved, oblique_grid
from rule_model import RuleModel

from SegAnyPETLib.errors import ModelError, PredictionCancelled, SegAnyPETWarning
from SegAnyPETLib.session import Box, InteractiveSession, Point, SeedMask, following
from SegAnyPETLib.session import session as session_module
from SegAnyPETLib.session.history import History

SMALL = {"roi_shape": (24, 24, 24), "spacings_mm": (4.0, 2.0), "clear_voxels": 2.5}

pytestmark = pytest.mark.filterwarnings("ignore::SegAnyPETLib.errors.SegAnyPETWarning")


@pytest.fixture(scope="module")
def grid():
    return oblique_grid(shape_kji=(24, 30, 34))


@pytest.fixture(scope="module")
def centre(grid):
    return tuple(grid.kji_to_lps((12, 15, 17)))


@pytest.fixture(scope="module")
def image(grid, centre):
    return hot(grid, *(ellipsoid(grid, moved(centre, o), (13, 10, 11)) for o in ((-20, 0, 0), (18, 0, 0), (0, 30, 0))))


def new_session(image, **more):
    session = InteractiveSession(RuleModel(**{**SMALL, **more}))
    session.set_image(image)
    return session


def some_prompts(rng, centre, image, count):
    """Points of both signs, and now and then a box or a seed."""
    prompts = []
    for _ in range(count):
        kind = rng.random()
        where = moved(centre, rng.uniform(-25, 25, 3))
        if kind < 0.85:
            prompts.append(Point(where, positive=bool(rng.random() < 0.7)))
        elif kind < 0.93:
            prompts.append(Box(where, moved(where, rng.uniform(8, 30, 3))))
        else:
            prompts.append(SeedMask(ellipsoid(image.grid, where, rng.uniform(6, 15, 3))))
    return prompts


def test_predicting_once_after_several_prompts_equals_predicting_after_each(image, centre):
    prompts = some_prompts(np.random.default_rng(11), centre, image, 8)
    each, once = new_session(image), new_session(image)
    for prompt in prompts:
        each.add(prompt)
        last = each.predict()
        once.add(prompt)

    together = once.predict()

    np.testing.assert_array_equal(last.mask, together.mask)
    np.testing.assert_array_equal(last.probability, together.probability)
    assert last.score == together.score


def test_a_hundred_random_operations_agree_with_a_list_of_masks(image, centre):
    """The oracle is a plain list: one mask per prompt, made by a session that never undoes anything."""
    rng = np.random.default_rng(5)
    session = new_session(image)
    done, undone, seen = [], [], [np.zeros(image.grid.shape_kji, dtype=bool)]
    oracle: dict[tuple[int, ...], np.ndarray] = {(): seen[0]}
    for prompt in some_prompts(rng, centre, image, 100):
        action = rng.choice(["add", "undo", "redo", "predict"], p=[0.4, 0.25, 0.2, 0.15])
        if action == "add":
            session.add(prompt)
            done.append(prompt)
            undone.clear()
        elif action == "undo" and done:
            session.undo()
            undone.append(done.pop())
        elif action == "redo" and undone:
            session.redo()
            done.append(undone.pop())
        assert session.prompts == tuple(done)
        assert (session.can_undo, session.can_redo) == (bool(done), bool(undone))
        if not done:
            assert not session.mask.any()
            continue
        key = tuple(id(p) for p in done)
        mask = session.predict().mask
        np.testing.assert_array_equal(session.mask, mask)
        np.testing.assert_array_equal(oracle.setdefault(key, mask), mask)
    for prompts in list(oracle)[1::9]:  # every ninth is also made from scratch
        fresh = new_session(image)
        by_id = {id(p): p for p in (*done, *undone)}
        if all(i in by_id for i in prompts):
            for i in prompts:
                fresh.add(by_id[i])
            np.testing.assert_array_equal(fresh.predict().mask, oracle[prompts])


def test_undo_and_redo_tell_exactly_what_changed(image, centre):
    session = new_session(image)
    shown = session.mask
    for prompt in some_prompts(np.random.default_rng(2), centre, image, 5):
        session.add(prompt)
        changed = session.predict().changed
        shown = follow(shown, session.mask, changed)
    for step in (session.undo, session.undo, session.redo, session.undo, session.redo, session.redo, session.reset):
        changed = step()
        shown = follow(shown, session.mask, changed)
    assert not shown.any()


def follow(shown, mask, box):
    """What a viewer shows that rewrites only the changed box."""
    updated = shown.copy()
    if not box.is_empty:
        updated[box.slices] = mask[box.slices]
    np.testing.assert_array_equal(updated, mask)
    return updated


def test_changed_holds_also_for_a_viewer_that_ignores_undo(image, centre):
    session = new_session(image)
    session.add(Point(moved(centre, (-20, 0, 0))))
    shown = session.predict().mask
    session.add(Point(moved(centre, (18, 0, 0))))
    shown = follow(shown, session.mask, session.predict().changed)
    session.undo()
    session.undo()
    session.add(Point(moved(centre, (0, 30, 0))))

    prediction = session.predict()

    follow(shown, prediction.mask, prediction.changed)


def test_adding_after_undo_forgets_what_was_undone(image, centre):
    session = new_session(image)
    session.add(Point(moved(centre, (-20, 0, 0))))
    session.add(Point(moved(centre, (18, 0, 0))))
    session.undo()
    session.add(Point(moved(centre, (0, 30, 0))))

    assert not session.can_redo
    assert len(session.prompts) == 2


def test_undo_costs_no_call_of_the_network(image, centre):
    session = new_session(image)
    for prompt in some_prompts(np.random.default_rng(3), centre, image, 6):
        session.add(prompt)
    session.predict()
    calls = len(session.model.encoded), len(session.model.decoded)

    for _ in range(5):
        session.undo()
        session.predict()
    for _ in range(5):
        session.redo()
        session.predict()

    assert (len(session.model.encoded), len(session.model.decoded)) == calls


def test_one_more_click_costs_one_decode(image, centre):
    session = new_session(image, spacings_mm=(4.0,))
    for n in range(6):
        session.add(Point(moved(centre, (-20 + n, 0, 0))))
        session.predict()

    assert len(session.model.encoded) == 1
    assert len(session.model.decoded) == 6


def test_states_dropped_to_save_memory_are_made_again_to_the_same_bits(image, centre):
    prompts = some_prompts(np.random.default_rng(7), centre, image, 7)
    roomy, tight = new_session(image), new_session(image)
    tight._history = History(budget_bytes=1)
    for session in (roomy, tight):
        for prompt in prompts:
            session.add(prompt)
            session.predict()
    assert sum(entry.state is not None for entry in tight._history.entries) == 1

    for session in (roomy, tight):
        for _ in range(3):
            session.undo()
        session.add(Point(centre))
    expected, found = roomy.predict(), tight.predict()
    np.testing.assert_array_equal(expected.mask, found.mask)
    tight.undo()
    roomy.undo()
    np.testing.assert_array_equal(roomy.predict().probability, tight.predict().probability)


def test_embeddings_dropped_to_save_memory_change_nothing(image, centre):
    prompts = some_prompts(np.random.default_rng(8), centre, image, 6)
    roomy = new_session(image)
    tight = InteractiveSession(RuleModel(**SMALL), cache_bytes=1)
    tight.set_image(image)
    for session in (roomy, tight):
        for prompt in prompts:
            session.add(prompt)

    np.testing.assert_array_equal(roomy.predict().mask, tight.predict().mask)
    assert len(tight.model.encoded) >= len(roomy.model.encoded)


def test_a_new_object_in_a_known_region_needs_no_encoder(image, centre):
    session = new_session(image)
    session.add(Point(moved(centre, (-20, 0, 0))))
    first = session.predict().mask
    encoded = len(session.model.encoded)

    session.reset()
    session.add(Point(moved(centre, (-20, 0, 0))))

    np.testing.assert_array_equal(session.predict().mask, first)
    assert len(session.model.encoded) == encoded


@pytest.mark.parametrize("calls_before_cancel", [0, 1, 2, 3])
def test_cancelling_leaves_the_session_as_it_was(image, centre, calls_before_cancel):
    session = new_session(image)
    session.add(Point(moved(centre, (-20, 0, 0))))
    before = session.predict()
    session.add(Point(moved(centre, (18, 0, 0))))
    session.add(Point(moved(centre, (0, 30, 0))))
    cancel = threading.Event()
    cancel_after(session.model, cancel, calls_before_cancel)

    with pytest.raises(PredictionCancelled, match="as it was before"):
        session.predict(cancel=cancel)

    np.testing.assert_array_equal(session.mask, before.mask)
    assert len(session.prompts) == 3
    cancel.clear()
    undisturbed = new_session(image)
    for prompt in session.prompts:
        undisturbed.add(prompt)
    np.testing.assert_array_equal(session.predict(cancel=cancel).mask, undisturbed.predict().mask)


def cancel_after(model, cancel, calls):
    """Set the event once the model was decoded `calls` times more."""
    decode, left = model.decode, [calls]
    if calls == 0:
        cancel.set()

    def counting(*args, **kwargs):
        left[0] -= 1
        if left[0] == 0:
            cancel.set()
        return decode(*args, **kwargs)

    model.decode = counting


@pytest.mark.parametrize("error", [ModelError("the device is on fire"), MemoryError(), RuntimeError("CUDA")])
def test_a_failing_model_leaves_the_session_usable(image, centre, error):
    session = new_session(image)
    session.add(Point(moved(centre, (-20, 0, 0))))
    before = session.predict().mask
    session.add(Point(moved(centre, (18, 0, 0))))
    working = session.model.decode

    def broken(*args, **kwargs):
        raise error

    session.model.decode = broken
    with pytest.raises(type(error)):
        session.predict()
    np.testing.assert_array_equal(session.mask, before)
    session.model.decode = working

    assert session.predict().mask.sum() > before.sum()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [(lambda logits: logits * float("nan"), "finite"), (lambda logits: logits[..., 1:], "Expected mask logits")],
)
def test_nonsense_from_a_model_is_an_error_not_a_mask(image, centre, spoil, message):
    session = new_session(image)
    decode = session.model.decode
    session.model.decode = lambda *args, **kwargs: (spoil(decode(*args, **kwargs)[0]), None)
    session.add(Point(centre))

    with pytest.raises(ModelError, match=message):
        session.predict()


def test_a_click_the_network_does_not_answer_is_in_the_mask_all_the_same(image, grid, centre):
    session = new_session(image)
    beside = moved(centre, (0, -18, 14))  # beside the objects, in view of them
    session.add(Point(beside))

    prediction = session.predict()

    assert prediction.mask[grid.nearest_voxel_kji(beside)]
    assert not prediction.notices


def test_a_warning_turned_into_an_error_loses_nothing(image, centre, monkeypatch):
    monkeypatch.setattr(following, "MOST_FOLLOWING_REGIONS", 1)
    session = new_session(image, roi_shape=(8, 8, 8), spacings_mm=(2.0,))  # the object runs out of every window
    session.add(Point(moved(centre, (18, 0, 0))))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(SegAnyPETWarning, match="straight face"):
            session.predict()

        prediction = session.predict()  # the result is known by now

    assert prediction.mask.any()
    assert not prediction.changed.is_empty


def test_importing_the_session_does_not_load_torch():
    import subprocess
    import sys

    code = "import sys, SegAnyPETLib.session; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert "torch" not in vars(session_module)
