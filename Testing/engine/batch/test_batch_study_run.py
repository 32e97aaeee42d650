"""One study: its steps in order, and every way in which it can fail."""

import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from pretended_study import NAME, NOTHING_DONE, NoModels, pretended_study, run_pretended

from SegAnyPETLib.batch.lesion import LesionRequest, StudyRequest
from SegAnyPETLib.batch.settings import BatchSettings
from SegAnyPETLib.batch.study_run import hash_inputs, run_study, tracking_uid


def run(study, out, *, settings=None, cancel=None, **steps):
    return run_study(
        study,
        settings=settings or BatchSettings(),
        out=out,
        models=NoModels(),
        cancel=cancel,
        steps=replace(NOTHING_DONE, **steps),
    )


def two_lesions(_study, _image, _settings):
    lesions = tuple(LesionRequest(label, prompts=(), origin="test") for label in ("first", "second"))
    return StudyRequest(lesions, "two")


def test_a_lesion_without_a_voxel_is_told_apart_from_those_with_one(tmp_path):
    written = []
    full = np.ones((2, 3, 4), dtype=bool)
    answers = [
        SimpleNamespace(mask=full, score=0.7, volume_interval_ml=(1.0, 2.0), notices=("said",), reason=None),
        SimpleNamespace(mask=~full, score=0.1, volume_interval_ml=None, notices=(), reason=None),
    ]
    outcome = run(
        pretended_study(1, folder=tmp_path),
        tmp_path,
        request=two_lesions,
        segment=lambda *_: answers,
        write=lambda folder, result, _settings: written.append((folder, result)) or {"x": "y"},
    )
    assert (outcome.ending, outcome.lesions, outcome.output_hashes) == ("done", 1, {"x": "y"})
    ((folder, result),) = written
    assert folder == tmp_path / "studies" / outcome.key
    assert [lesion.request.label for lesion in result.lesions] == ["first"]
    assert result.lesions[0].notices == ("said",)
    assert not result.lesions[0].mask.flags.writeable
    assert list(result.not_found) == ["second"]
    assert {"reading", "prompting", "segmenting", "measuring"} <= set(result.seconds)


@pytest.mark.parametrize(
    ("behaviour", "kind", "word"),
    [
        ("suv", "SUVError", "Expected a weight"),
        ("memory", "MemoryError", "not enough memory"),
        ("disk full", "OSError", "No space left"),
        ("bug", "unexpected", "KeyError"),
    ],
)
def test_every_failure_becomes_a_reason_without_names(tmp_path, behaviour, kind, word):
    study = pretended_study(1, behaviour=behaviour, folder=tmp_path)
    outcome = run_pretended(study, settings=BatchSettings(), out=tmp_path, cancel=threading.Event())
    assert (outcome.ending, outcome.kind) == ("failed", kind)
    assert word in outcome.reason
    assert not (tmp_path / "studies" / study.key).exists()
    for secret in (NAME, study.study_instance_uid, str(tmp_path)):
        assert secret not in outcome.reason
        assert secret not in outcome.traceback
    assert ("_read" in outcome.traceback) == (behaviour == "bug")


def test_uids_stay_on_request(tmp_path):
    study = pretended_study(1, behaviour="suv", folder=tmp_path)
    outcome = run_pretended(study, settings=BatchSettings(shows_uids=True), out=tmp_path, cancel=threading.Event())
    assert study.study_instance_uid in outcome.reason


def test_a_study_is_dropped_before_its_next_step(tmp_path):
    cancel = threading.Event()
    outcome = run(
        pretended_study(1, folder=tmp_path),
        tmp_path,
        cancel=cancel,
        segment=lambda *_: cancel.set() or (),
        write=lambda *_: pytest.fail("nothing is written after the run was stopped"),
    )
    assert outcome.ending == "dropped"


def test_a_file_that_may_not_be_read_is_a_reason(tmp_path, monkeypatch):
    def refuse(_study):
        raise PermissionError(13, "Permission denied", str(tmp_path / NAME))

    outcome = run(pretended_study(1, folder=tmp_path), tmp_path, read=refuse)
    assert (outcome.kind, outcome.reason) == ("OSError", "Files could not be read or written: Permission denied.")


def test_a_study_without_its_files_fails(tmp_path):
    outcome = run(pretended_study(1), tmp_path)
    assert (outcome.ending, outcome.kind) == ("failed", "OSError")


def test_the_hash_of_the_inputs_sees_contents_only(tmp_path):
    series = pretended_study(1, folder=tmp_path).pet
    for index in range(3):
        (tmp_path / f"{index}").write_bytes(bytes([index]))
    files = tuple(tmp_path / str(index) for index in range(3))
    first = hash_inputs(replace(series, files=files))
    (tmp_path / "0").rename(tmp_path / "renamed")
    renamed = (files[2], tmp_path / "renamed", files[1])
    assert hash_inputs(replace(series, files=renamed)) == first
    files[2].write_bytes(b"x")
    assert hash_inputs(replace(series, files=renamed)) != first


def test_a_lesion_keeps_its_tracking_uid_and_no_two_share_one():
    def uid(number, label, rule="a"):
        return tracking_uid(pretended_study(number), LesionRequest(label, (), "o"), rule=rule)

    assert uid(1, "x") == uid(1, "x")
    others = {uid(1, "x"), uid(1, "y"), uid(2, "x"), uid(1, "x", rule="b")}
    assert len(others) == 4
    assert all(text.startswith("2.25.") and len(text) <= 64 for text in others)
