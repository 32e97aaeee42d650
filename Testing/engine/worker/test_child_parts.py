"""The parts of the child that need no process."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from engine_talk import oblique_image
from gated_ball_engine import GatedBallModel

from SegAnyPETLib.errors import SessionError, WorkerError
from SegAnyPETLib.session import InteractiveSession, Point
from SegAnyPETLib.session.packed_mask import PackedMask
from SegAnyPETLib.suv import compute_measures
from SegAnyPETLib.worker import lesions as lesions_module
from SegAnyPETLib.worker import shared_image
from SegAnyPETLib.worker.child import measures_of
from SegAnyPETLib.worker.lesions import Lesions, bring_to
from SegAnyPETLib.worker.shared_image import AttachedImage, SharedImage

NEVER = threading.Event()


def places(image, count):
    rng = np.random.default_rng(3)
    kji = rng.uniform(8, np.asarray(image.grid.shape_kji) - 9, (count, 3))
    return [Point(tuple(image.grid.kji_to_lps(index))) for index in kji]


def test_a_session_is_brought_to_any_prompts_and_predicts_what_a_fresh_one_does(an_image):
    clicks = places(an_image, 4)
    rng = np.random.default_rng(7)
    session = InteractiveSession(GatedBallModel())
    session.set_image(an_image)
    for _ in range(12):
        wanted = [clicks[n] for n in rng.integers(0, 4, rng.integers(1, 5))]
        bring_to(session, wanted)
        assert session.prompts == tuple(wanted)
        fresh = InteractiveSession(GatedBallModel())
        fresh.set_image(an_image)
        for prompt in wanted:
            fresh.add(prompt)
        assert session.predict().packed == fresh.predict().packed


def test_going_back_and_forth_computes_nothing_again(an_image):
    model = GatedBallModel()
    decoded = []
    decode = model.decode
    model.decode = lambda *a, **k: decoded.append(1) or decode(*a, **k)
    session = InteractiveSession(model)
    session.set_image(an_image)
    clicks = places(an_image, 3)
    for count in (1, 2, 3):
        bring_to(session, clicks[:count])
        session.predict()
    before = len(decoded)
    for count in (1, 3, 2, 3):
        bring_to(session, clicks[:count])
        session.predict()
    assert len(decoded) == before


def test_the_sessions_kept_are_bounded_and_a_dropped_one_answers_the_same(an_image, monkeypatch):
    monkeypatch.setattr(lesions_module, "MOST_SESSIONS", 2)
    lesions = Lesions(GatedBallModel())
    lesions.set_image(an_image)
    clicks = places(an_image, 5)
    first = [lesions.predict(str(n), [click], cancel=NEVER).packed for n, click in enumerate(clicks)]
    assert len(lesions._sessions) == 2
    assert [lesions.predict(str(n), [click], cancel=NEVER).packed for n, click in enumerate(clicks)] == first


def test_without_an_image_everything_is_refused():
    lesions = Lesions(GatedBallModel())
    with pytest.raises(SessionError, match="Choose the image again"):
        lesions.predict("a", [Point((0.0, 0.0, 0.0))], cancel=NEVER)


def test_measures_of_a_part_are_those_of_the_whole(an_image):
    rng = np.random.default_rng(11)
    for _ in range(12):
        mask = np.zeros(an_image.grid.shape_kji, dtype=bool)
        start = [int(rng.integers(0, n - 4)) for n in mask.shape]
        box = tuple(slice(s, s + int(rng.integers(1, 12))) for s in start)
        mask[box] = rng.random(mask[box].shape) < 0.7
        mask[tuple(start)] = True
        whole, part = compute_measures(an_image, mask), measures_of(PackedMask.of(mask), an_image)
        for name, value in vars_of(whole).items():
            expected = pytest.approx(value, rel=1e-9, abs=1e-9) if not isinstance(value, str) else value
            assert vars_of(part)[name] == expected, name


def vars_of(measures):
    return {name: getattr(measures, name) for name in type(measures).__dataclass_fields__}


def test_an_empty_mask_has_no_measures(an_image):
    assert measures_of(PackedMask.empty(an_image.grid.shape_kji), an_image) is None


def test_the_volume_lies_in_shared_memory_until_it_is_released(an_image):
    image = SharedImage(an_image)
    name = image.fill()
    assert image.fill() == name
    attached = AttachedImage(name, an_image.grid.shape_kji)
    np.testing.assert_array_equal(attached.array, an_image.array)
    with pytest.raises(ValueError, match="read-only"):
        attached.array[0, 0, 0] = 1.0
    image.release()
    image.release()
    assert not (Path("/dev/shm") / name).exists()
    held = attached.array
    assert held[1, 2, 3] == an_image.array[1, 2, 3]  # who looks at it may go on
    assert not attached.close()
    del held
    assert attached.close()
    with pytest.raises(WorkerError, match="Choose the image again"):
        AttachedImage(name, an_image.grid.shape_kji)
    with pytest.raises(WorkerError, match="replaced"):
        image.fill()


def test_memory_goes_with_the_object_that_holds_it(an_image):
    image = SharedImage(an_image)
    name = image.fill()
    del image
    assert not (Path("/dev/shm") / name).exists()


def test_a_segment_too_small_for_the_image_is_refused(an_image):
    image = SharedImage(an_image)
    with pytest.raises(WorkerError, match="Expected shared memory for an image"):
        AttachedImage(image.fill(), (4000, 4000, 4000))
    image.release()


def test_too_little_shared_memory_is_an_error_before_anything_is_written(an_image, monkeypatch):
    def full(_handle, _offset, _size):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shared_image.os, "posix_fallocate", full)
    before = set(Path("/dev/shm").iterdir())
    with pytest.raises(WorkerError, match=r"MiB of shared memory.*No space left"):
        SharedImage(an_image).fill()
    assert {path for path in Path("/dev/shm").iterdir() if path.name.startswith("psm_")} <= before


def test_two_images_do_not_share_memory():
    one, two = SharedImage(oblique_image(seed=1)), SharedImage(oblique_image(seed=2))
    assert one.fill() != two.fill()
    one.release()
    two.release()
