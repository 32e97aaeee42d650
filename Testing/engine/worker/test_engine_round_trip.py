"""A client and a real child process, with a model whose answers are known in closed form."""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path

import numpy as np
import pytest
from engine_talk import oblique_image, only, pid_of, wait_for
from gated_ball_engine import RADIUS_MM, GatedBallModel

from SegAnyPETLib.errors import PredictionCancelled, PromptError, SessionError
from SegAnyPETLib.geometry import VoxelBox
from SegAnyPETLib.session import Box, InteractiveSession, Point, SeedMask
from SegAnyPETLib.session.packed_mask import PackedMask
from SegAnyPETLib.suv import compute_measures
from SegAnyPETLib.version import __version__
from SegAnyPETLib.worker import (
    EngineClient,
    EngineReady,
    LesionPredicted,
    PredictionRefused,
    Prepared,
    UncertaintyReady,
)


def at(image, *kji):
    """A place, to the micrometre."""
    x, y, z = (round(float(value), 3) for value in image.grid.kji_to_lps(kji))
    return x, y, z


def ball(image, centre_lps, *, radius_mm):
    index = np.stack(np.meshgrid(*(np.arange(n) for n in image.grid.shape_kji), indexing="ij"), axis=-1)
    return np.linalg.norm(image.grid.kji_to_lps(index) - centre_lps, axis=-1) <= radius_mm


def answer(engine, lesion, prompts, **arguments):
    number = engine.predict(lesion, prompts, **arguments)
    predicted = only(wait_for(engine, LesionPredicted), LesionPredicted)
    assert [event.request for event in predicted] == [number]
    return predicted[0]


def test_a_click_gives_the_ball_and_its_measures_on_an_oblique_image(an_engine, an_image):
    centre = at(an_image, 20, 25, 22)
    number = an_engine.predict("a", [Point(centre)])
    events = wait_for(an_engine, LesionPredicted)
    predicted = only(events, LesionPredicted)[0]
    mask = predicted.packed.to_array()
    assert (predicted.lesion, predicted.request) == ("a", number)
    # The ball lives on the network's grid of 2 mm; half a diagonal of that is 1.8 mm.
    assert not mask[~ball(an_image, centre, radius_mm=RADIUS_MM + 2.0)].any()
    assert mask[ball(an_image, centre, radius_mm=RADIUS_MM - 2.0)].all()
    values = an_image.array[mask]
    voxel_ml = 2.3 * 2.9 * 3.7 / 1000
    assert predicted.measures.suv_max == values.max()
    assert predicted.measures.suv_mean == pytest.approx(values.astype(float).mean())
    assert predicted.measures.mtv_ml == pytest.approx(mask.sum() * voxel_ml)
    assert predicted.changed == VoxelBox.of_mask(mask)
    assert an_engine.state == "ready"


def test_points_boxes_and_seeds_arrive_as_a_session_in_this_process_sees_them(an_engine, an_image):
    seed = ball(an_image, at(an_image, 12, 30, 30), radius_mm=9.0)
    x, y, z = at(an_image, 24, 20, 25)
    sequences = {
        "points": [Point(at(an_image, 20, 25, 22)), Point(at(an_image, 22, 25, 24), positive=False)],
        "box": [Box((x - 11.5, y - 9.25, z - 13.0), (x + 11.5, y + 9.25, z + 13.0))],
        "seed": [SeedMask(seed), Point(at(an_image, 12, 33, 30))],
    }
    for name, prompts in sequences.items():
        session = InteractiveSession(GatedBallModel())
        session.set_image(an_image)
        for prompt in prompts:
            session.add(prompt)
        expected = session.predict()
        predicted = answer(an_engine, name, prompts)
        assert predicted.packed == expected.packed, name
        assert predicted.score == expected.score
        assert predicted.hint == expected.next_click_hint
        assert predicted.notices == expected.notices
        assert predicted.measures.suv_peak == pytest.approx(compute_measures(an_image, expected.mask).suv_peak)


def test_undo_redo_and_another_branch_are_just_other_prompts(an_engine, an_image):
    first, second, third = (Point(at(an_image, 20, 25, i)) for i in (20, 26, 14))
    one = answer(an_engine, "a", [first]).packed
    both = answer(an_engine, "a", [first, second])
    undone = answer(an_engine, "a", [first])
    redone = answer(an_engine, "a", [first, second])
    assert undone.packed == one
    assert redone.packed == both.packed
    assert redone.changed == both.changed == undone.changed == VoxelBox.of_mask(one.to_array() ^ both.packed.to_array())
    branch = answer(an_engine, "a", [first, third]).packed
    assert branch != both.packed
    assert answer(an_engine, "fresh", [first, third]).packed == branch


def test_no_prompts_are_the_empty_mask_without_a_child(make_engine, an_image):
    engine = make_engine(command=["/nowhere/to/be/found"])
    engine.set_image(an_image)
    shown = PackedMask.of(ball(an_image, at(an_image, 20, 20, 20), radius_mm=8.0))
    number = engine.predict("a", [], shown=shown)
    (event,) = engine.poll()
    assert (event.request, event.packed, event.measures) == (number, PackedMask.empty((41, 47, 53)), None)
    assert event.changed == shown.box
    assert engine.state == "stopped"
    asked = engine.ask_uncertainty("a")
    (event,) = engine.poll()
    assert (event.request, event.bits.shape) == (asked, (0, 0, 0))


def test_what_is_shown_is_what_changed_is_relative_to(an_engine, an_image):
    prompts = [Point(at(an_image, 20, 25, 22))]
    mask = answer(an_engine, "a", prompts).packed
    assert answer(an_engine, "a", prompts).changed.is_empty
    assert answer(an_engine, "a", prompts, shown=PackedMask.empty(mask.shape_kji)).changed == mask.box


def test_many_lesions_are_kept_apart_and_each_gets_its_answer(an_engine, an_image):
    places = {f"lesion {n}": at(an_image, 10 + n, 12 + n // 2, 12 + n) for n in range(20)}
    for lesion, place in places.items():
        an_engine.predict(lesion, [Point(place)])
    events = only(wait_for(an_engine, LesionPredicted, count=20), LesionPredicted)
    assert [event.lesion for event in events] == list(places)
    for event in events:
        assert event.packed.to_array()[an_image.grid.nearest_voxel_kji(places[event.lesion])]
        assert not event.packed.to_array()[~ball(an_image, places[event.lesion], radius_mm=RADIUS_MM + 2.0)].any()


def test_a_newer_request_supersedes_the_one_that_runs_and_those_that_wait(an_engine, an_image, a_gate):
    a_gate.close()
    an_engine.predict("a", [Point(at(an_image, 20, 25, 22))])
    a_gate.wait_until_child_is_inside(an_engine)
    assert an_engine.state == "working"
    other = an_engine.predict("b", [Point(at(an_image, 8, 8, 8))])
    for n in range(5):
        newest = an_engine.predict("a", [Point(at(an_image, 20, 25, 22 + n))])
    a_gate.open()
    events = wait_for(an_engine, LesionPredicted, count=2)
    predicted = only(events, LesionPredicted)
    assert {event.lesion: event.request for event in predicted} == {"b": other, "a": newest}
    assert not only(events, PredictionRefused)
    time.sleep(0.1)
    assert an_engine.poll() == []


def test_cancel_in_mid_prediction_refuses_all_and_the_next_click_works(an_engine, an_image, a_gate):
    prompts = [Point(at(an_image, 20, 25, 22))]
    a_gate.close()
    running = an_engine.predict("a", prompts)
    a_gate.wait_until_child_is_inside(an_engine)
    waiting = an_engine.predict("b", prompts)
    an_engine.cancel()
    refused = only(an_engine.poll(), PredictionRefused)
    assert {event.request for event in refused} == {running, waiting}
    assert all(isinstance(event.error, PredictionCancelled) for event in refused)
    a_gate.open()
    assert answer(an_engine, "a", prompts).packed.voxel_count > 0


def test_preparing_makes_the_click_there_free_and_one_near_cost_no_encoding(an_engine, an_image, a_gate):
    place = at(an_image, 20, 25, 22)
    an_engine.prepare(place)
    assert only(wait_for(an_engine, Prepared), Prepared)[0].lps_mm == place
    encoded = a_gate.encoded
    assert encoded > 0
    decoded = a_gate.decoded
    same = (place[0] + 1e-6, place[1] - 1e-6, place[2])  # a cursor and a control point agree to rounding
    there = answer(an_engine, "there", [Point(same)]).packed
    assert a_gate.decoded == decoded
    near = (place[0] + 0.1, place[1] - 0.1, place[2] + 0.1)
    answer(an_engine, "near", [Point(near)])
    assert a_gate.decoded > decoded
    assert a_gate.encoded == encoded
    an_engine.set_image(an_image)
    assert answer(an_engine, "unprepared", [Point(place)]).packed == there
    assert a_gate.encoded > encoded


def test_a_click_where_the_cursor_is_waits_for_what_is_prepared_there(an_engine, an_image, a_gate):
    place = at(an_image, 20, 25, 22)
    a_gate.close()
    an_engine.prepare(place)
    a_gate.wait_until_child_is_inside(an_engine)
    an_engine.predict("a", [Point(place)])
    a_gate.open()
    wait_for(an_engine, LesionPredicted)
    assert a_gate.decoded == 1


def test_a_prediction_goes_before_what_is_prepared_and_the_newest_place_wins(an_engine, an_image, a_gate):
    a_gate.close()
    an_engine.prepare(at(an_image, 5, 5, 5))
    a_gate.wait_until_child_is_inside(an_engine)
    for n in range(5):
        an_engine.prepare(at(an_image, 20, 25, 20 + n))
    an_engine.prepare((1e4, 0.0, 0.0))  # outside: ignored
    a_gate.open()
    events = wait_for(an_engine, Prepared)
    assert only(events, Prepared)[0].lps_mm == at(an_image, 20, 25, 24)
    a_gate.close()
    an_engine.prepare(at(an_image, 35, 40, 45))
    a_gate.wait_until_child_is_inside(an_engine)
    an_engine.predict("a", [Point(at(an_image, 20, 25, 22))])
    a_gate.open()
    assert not only(wait_for(an_engine, LesionPredicted), Prepared)


def test_late_answers_of_the_image_before_are_dropped(an_engine, an_image, a_gate):
    place = at(an_image, 20, 25, 22)
    a_gate.close()
    an_engine.predict("a", [Point(place)])
    a_gate.wait_until_child_is_inside(an_engine)
    other = oblique_image(seed=1, shape_kji=(43, 45, 51))
    an_engine.set_image(other)
    with pytest.raises(SessionError, match="predicted in this image"):
        an_engine.ask_uncertainty("a")
    number = an_engine.predict("a", [Point(place)])
    a_gate.open()
    (event,) = only(wait_for(an_engine, LesionPredicted), LesionPredicted)
    assert event.request == number
    assert event.packed.shape_kji == (43, 45, 51)
    assert event.measures.suv_max == other.array[event.packed.to_array()].max()


def test_the_uncertainty_is_that_of_a_session_in_this_process(an_engine, an_image):
    prompts = [Point(at(an_image, 20, 25, 22))]
    an_engine.predict("a", prompts)
    number = an_engine.ask_uncertainty("a")
    (event,) = only(wait_for(an_engine, UncertaintyReady), UncertaintyReady)
    session = InteractiveSession(GatedBallModel())
    session.set_image(an_image)
    session.add(prompts[0])
    expected = session.predict().uncertainty
    whole = np.zeros_like(expected)
    whole[event.box.slices] = event.bits
    assert event.request == number
    assert expected.max() > 0.5
    np.testing.assert_array_equal(whole, expected)


def test_a_click_outside_is_refused_by_the_same_error(an_engine):
    an_engine.predict("a", [Point((1e4, 0.0, 0.0))])
    (event,) = only(wait_for(an_engine, PredictionRefused), PredictionRefused)
    assert type(event.error) is PromptError
    assert "outside the image" in str(event.error)


def test_forgetting_a_lesion_drops_its_answer_and_what_it_showed(an_engine, an_image):
    prompts = [Point(at(an_image, 20, 25, 22))]
    answer(an_engine, "a", prompts)
    an_engine.predict("a", prompts)
    an_engine.forget("a")
    an_engine.predict("b", prompts)
    assert [event.lesion for event in only(wait_for(an_engine, LesionPredicted), LesionPredicted)] == ["b"]
    mask = answer(an_engine, "a", prompts)
    assert mask.changed == mask.packed.box


def test_rest_ends_the_child_the_next_click_starts_another_and_close_gives_the_memory_back(
    make_engine, another_gate, an_image
):
    engine = make_engine()
    engine.set_image(an_image)
    prompts = [Point(at(an_image, 20, 25, 22))]
    engine.predict("a", prompts)
    events = wait_for(engine, LesionPredicted)
    ready, before = only(events, EngineReady)[0], only(events, LesionPredicted)[0].packed
    assert (ready.model, ready.device, ready.version) == ("balls", "cpu", __version__)

    child = engine._child
    another_gate.close()
    number = engine.predict("b", [Point(at(an_image, 5, 5, 5))])
    another_gate.wait_until_child_is_inside(engine)
    engine.rest()
    (event,) = engine.poll()
    assert (event.request, type(event.error)) == (number, PredictionCancelled)
    assert engine.state == "stopped"
    assert child.wait_until_ended(30.0)
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)

    another_gate.open()
    again = answer(engine, "a", prompts)
    assert again.packed == before
    assert again.changed.is_empty

    file, pid = Path("/dev/shm") / engine._image.fill(), pid_of(engine)
    assert file.exists()
    engine.close(wait_s=30.0)
    engine.close()
    assert not file.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert engine.poll() == []
    with pytest.raises(SessionError, match="closed"):
        engine.predict("a", [])


def test_calls_in_the_wrong_order_are_refused_at_once(make_engine, an_image):
    engine = make_engine()
    engine.prepare((0.0, 0.0, 0.0))
    with pytest.raises(SessionError, match="set_image"):
        engine.predict("a", [])
    engine.set_image(an_image)
    with pytest.raises(SessionError, match="Call predict first"):
        engine.ask_uncertainty("a")
    assert engine.state == "stopped"


def test_no_call_of_the_client_takes_long_while_the_child_works(an_engine, an_image, a_gate):
    answer(an_engine, "a", [Point(at(an_image, 20, 25, 22))])
    a_gate.close()
    an_engine.predict("a", [Point(at(an_image, 5, 5, 5))])
    a_gate.wait_until_child_is_inside(an_engine)
    calls = [
        lambda n: an_engine.predict("a", [Point(at(an_image, 5, 5, 5 + n))]),
        lambda n: an_engine.prepare(at(an_image, 5, 5, 5 + n)),
        lambda n: an_engine.ask_uncertainty("a"),
        lambda n: an_engine.poll(),
        lambda n: an_engine.set_image(an_image) if n == 39 else None,
    ]
    seconds = []
    for n in range(40):
        for call in calls:
            started = time.perf_counter()
            call(n)
            seconds.append(time.perf_counter() - started)
    assert np.median(seconds) < 0.005
    assert max(seconds) < 1.0  # the gate stays closed: a call that waits for the child would not return at all


@pytest.mark.skipif(os.name != "posix", reason="usleep")
def test_answers_come_although_the_main_thread_keeps_pythons_lock_between_polls(an_engine, an_image):
    answer(an_engine, "a", [Point(at(an_image, 20, 25, 22))])
    keeps_the_lock = ctypes.PyDLL(None).usleep  # as an event loop in C++ does
    an_engine.predict("a", [Point(at(an_image, 20, 25, 23))])
    polls = 0
    while not an_engine.poll():
        keeps_the_lock(15000)
        polls += 1
        assert polls < 200
    assert polls < 60


def test_the_bundled_model_answers_through_the_module_itself(an_image):
    engine = EngineClient(device="cpu", environment={"OMP_NUM_THREADS": "1"})
    try:
        engine.set_image(an_image)
        engine.predict("a", [Point(at(an_image, 20, 25, 22))])
        events = wait_for(engine, (LesionPredicted, PredictionRefused))
        assert only(events, EngineReady)[0].model == "lite"
        assert only(events, LesionPredicted)[0].packed.shape_kji == an_image.grid.shape_kji
    finally:
        engine.close(wait_s=30.0)
