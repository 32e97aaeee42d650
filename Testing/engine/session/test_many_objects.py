"""Many objects at once answer as each would alone."""

from __future__ import annotations

import threading
import warnings

import numpy as np
import pytest
import torch
from batching_rule_model import BatchingRuleModel
from pet_phantoms import ellipsoid, hot, moved, oblique_grid
from rule_model import RuleModel

from SegAnyPETLib.errors import DeviceError, ModelError, PredictionCancelled, PromptError, SegAnyPETWarning
from SegAnyPETLib.session import Box, InteractiveSession, Point, SeedMask
from SegAnyPETLib.session.clean_image import without_gaps
from SegAnyPETLib.session.many_objects import ManyObjects

GRID = oblique_grid(shape_kji=(60, 66, 71))
PLACES = ((9, 12, 14), (11, 50, 20), (30, 33, 36), (31, 10, 60), (50, 55, 57), (52, 15, 12))
CENTRES = [tuple(float(c) for c in GRID.kji_to_lps(kji)) for kji in PLACES]


@pytest.fixture(scope="module")
def an_image():
    radii = (
        (9.0, 12.0, 10.0),
        (14.0, 9.0, 16.0),
        (30.0, 26.0, 22.0),
        (8.0, 8.0, 8.0),
        (12.0, 15.0, 9.0),
        (7.0, 9.0, 7.0),
    )
    masks = [ellipsoid(GRID, centre, radius) for centre, radius in zip(CENTRES, radii, strict=True)]
    return hot(GRID, *masks)


def prompts_of_every_kind():
    """Of each object others, so that calls are of several kinds: one point, several, a box, a seed, a large object."""
    seed = ellipsoid(GRID, CENTRES[3], (6.0, 6.0, 6.0))
    box = Box(moved(CENTRES[4], (-20.0, -20.0, -20.0)), moved(CENTRES[4], (20.0, 20.0, 20.0)))
    return [
        (Point(CENTRES[0]),),
        (Point(CENTRES[1]), Point(moved(CENTRES[1], (0.0, 30.0, 0.0)), positive=False)),
        (Point(CENTRES[2]),),
        (SeedMask(seed), Point(CENTRES[3])),
        (box,),
        (Point(CENTRES[5]), Point(moved(CENTRES[5], (2.0, 0.0, 1.0))), Point(moved(CENTRES[5], (0.0, 3.0, 1.0)))),
    ]


def alone(image, prompts, model):
    session = InteractiveSession(model)
    session.set_image(image)
    for prompt in prompts:
        session.add(prompt)
    return session.predict()


def together(image, prompts, model, **options):
    many = ManyObjects(without_gaps(image)[0], model, keep=lambda number, prediction: prediction, **options)
    return dict(many.predict(prompts))


@pytest.mark.parametrize("at_once", [1, 3, 100])
@pytest.mark.parametrize("spacings_mm", [(4.0,), (4.0, 2.0)])
def test_each_of_many_is_what_its_own_session_gives(an_image, at_once, spacings_mm):
    prompts = prompts_of_every_kind()
    model = BatchingRuleModel(spacings_mm=spacings_mm)

    found = together(an_image, prompts, model, at_once=at_once)

    assert sorted(found) == list(range(len(prompts)))
    for number, each in enumerate(prompts):
        own = alone(an_image, each, RuleModel(spacings_mm=spacings_mm))
        assert own.packed.voxel_count > 0
        assert found[number].packed == own.packed
        assert found[number].score == own.score
        assert found[number].notices == own.notices
        assert found[number].changed == own.changed
        assert found[number].prompts == own.prompts
        np.testing.assert_array_equal(found[number].logits.values, own.logits.values)
    assert max(model.decoded_at_once) <= at_once


def test_calls_are_joined_and_each_region_is_encoded_once(an_image):
    prompts = [(Point(centre),) for centre in (CENTRES[0], CENTRES[1], CENTRES[3], CENTRES[5])]
    model, one_by_one = BatchingRuleModel(), RuleModel()
    for each in prompts:
        alone(an_image, each, one_by_one)

    together(an_image, [*prompts, *prompts], model, at_once=8)

    assert sum(model.encoded_at_once) == len(one_by_one.encoded)
    assert model.encoded_at_once[0] == len(prompts)
    assert model.decoded_at_once[0] == 2 * len(prompts)


def test_a_model_that_takes_no_batches_is_asked_one_by_one(an_image):
    model = RuleModel()
    found = together(an_image, prompts_of_every_kind(), model, at_once=8)
    assert all(len(volume) == 1 for volume in model.encoded)
    assert found[0].packed == alone(an_image, prompts_of_every_kind()[0], RuleModel()).packed


@pytest.mark.parametrize("error", [MemoryError, DeviceError, torch.OutOfMemoryError])
def test_where_memory_fails_fewer_are_asked_at_once_for_good_and_it_is_said_once(an_image, error):
    prompts = [(Point(CENTRES[n % 6]),) for n in range(8)]
    model = BatchingRuleModel(batch_size=8, memory=3, error=error)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = together(an_image, prompts, model)
        together(an_image, prompts, model)

    assert [w.category for w in caught] == [SegAnyPETWarning] * len(caught)
    told = [int(str(w.message).split("from now on ")[1].split()[0]) for w in caught]
    assert told == sorted(set(told), reverse=True)  # halved step by step, none said twice
    assert told[-1] == model.batch_size <= 3
    assert found[0].packed == alone(an_image, prompts[0], RuleModel()).packed


def test_memory_that_does_not_hold_a_single_region_is_an_error(an_image):
    model = BatchingRuleModel(memory=0)
    model.is_batching = True  # the model itself may still go to the CPU for one; this one has nowhere to go
    with pytest.warns(SegAnyPETWarning), pytest.raises(MemoryError):
        together(an_image, [(Point(CENTRES[0]),), (Point(CENTRES[1]),)], model)
    assert_no_thread_is_left()


def test_other_errors_of_the_model_end_all_and_leave_no_thread(an_image):
    class Broken(BatchingRuleModel):
        def decode(self, embedding, *, points=None, mask_logits=None):
            logits, quality = super().decode(embedding, points=points, mask_logits=mask_logits)
            return logits * np.nan, quality

    with pytest.raises(ModelError, match="finite"):
        together(an_image, prompts_of_every_kind(), Broken())
    assert_no_thread_is_left()


def test_refused_prompts_are_told_and_disturb_nobody(an_image):
    prompts = [(Point(CENTRES[0]),), (Point((1e4, 0.0, 0.0)),), (Point(CENTRES[1]),)]
    found = together(an_image, prompts, BatchingRuleModel())
    assert isinstance(found[1], PromptError)
    for number in (0, 2):
        assert found[number].packed == alone(an_image, prompts[number], RuleModel()).packed


def test_cancelling_stops_before_the_next_call_and_leaves_no_thread(an_image):
    cancel = threading.Event()
    model = BatchingRuleModel()
    many = ManyObjects(without_gaps(an_image)[0], model, keep=lambda n, p: n, at_once=2, cancel=cancel)
    answers = many.predict(prompts_of_every_kind())
    next(answers)
    calls = len(model.encoded_at_once) + len(model.decoded_at_once)
    cancel.set()
    with pytest.raises(PredictionCancelled):
        list(answers)
    assert len(model.encoded_at_once) + len(model.decoded_at_once) == calls
    assert_no_thread_is_left()


def test_who_stops_listening_leaves_no_thread(an_image):
    many = ManyObjects(without_gaps(an_image)[0], BatchingRuleModel(), keep=lambda n, p: n)
    answers = many.predict(prompts_of_every_kind())
    next(answers)
    answers.close()
    assert_no_thread_is_left()


def test_encoded_regions_stay_within_their_budget(an_image):
    model = BatchingRuleModel()
    one_region = 4 * 32**3 + 4
    many = ManyObjects(without_gaps(an_image)[0], model, keep=lambda n, p: p.packed, cache_bytes=3 * one_region)
    found = dict(many.predict(prompts_of_every_kind()))
    assert many._cache.used_bytes <= 3 * one_region + 3 * 4 * 32**3  # with the SUVs beside each
    assert found[2] == alone(an_image, prompts_of_every_kind()[2], RuleModel()).packed


def test_no_objects_need_no_call(an_image):
    model = BatchingRuleModel()
    assert together(an_image, [], model) == {}
    assert model.encoded == []


def assert_no_thread_is_left():
    for thread in threading.enumerate():
        if thread.name.startswith("object "):
            thread.join(timeout=5.0)  # it has said its last word, and is on its way out
            assert not thread.is_alive()
