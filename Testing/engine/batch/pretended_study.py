"""Studies that take no time: what a run does with them is real, what is in them is not.

Importable by worker processes. A study's Series Description says how it behaves: ``slow``, ``kill``, ``kill once``,
``bug``, ``disk full``, ``memory``, ``suv``.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

from SegAnyPETLib.batch.outcome import StudyOutcome
from SegAnyPETLib.batch.results.study_folder import SCHEMA, new_study_folder, seal
from SegAnyPETLib.batch.study import FoundStudy, SeriesFiles, hashed
from SegAnyPETLib.batch.study_run import run_study
from SegAnyPETLib.batch.study_steps import StudySteps
from SegAnyPETLib.errors import SUVError

NAME = "SCHMITT^ANNA"


def pretended_study(number: int, *, behaviour: str = "", folder: Path | None = None) -> FoundStudy:
    """A study with a file, where there is a folder for it, in a folder named like a person."""
    uid = f"1.2.826.0.1.3680043.9.{number}.77"
    place = (folder or Path("/nowhere")) / NAME / str(number)
    file = place / f"{uid}.dcm"
    if folder is not None:
        place.mkdir(parents=True, exist_ok=True)
        file.write_bytes(f"slice of study {number}".encode())
    pet = SeriesFiles(f"{uid}.1", "PT", behaviour, (file,))
    return FoundStudy(uid, hashed("patient", str(number // 2)), str(place), None, pet, None, "the only one")


def run_pretended(study, *, settings, out, cancel) -> StudyOutcome:
    """A `StudyRunner` that goes through the real `run_study` with steps that do nothing."""
    steps = replace(NOTHING_DONE, read=lambda found: _read(found, out), write=_write)
    return run_study(study, settings=settings, out=out, models=NoModels(), cancel=cancel, steps=steps)


class NoModels:
    """Stands for `LoadedModels`."""

    class in_use:  # noqa: N801  stands for a lock
        acquire = staticmethod(lambda: True)
        release = staticmethod(lambda: None)

    def get(self, _settings):
        class Loaded:
            model, name, weights_sha256 = None, "pretended", "0" * 64

        return Loaded


class NoRequest:
    lesions, rule, facts, notes = (), "none", {}, ()


def _read(study, out):
    with (out / "begun.txt").open("a") as stream:  # one write of a line is whole, also between processes
        stream.write(f"{study.key}\n")
    behaviour = study.pet.description
    if behaviour == "slow":
        time.sleep(0.2)
    elif behaviour == "kill" or (behaviour == "kill once" and count_of(study.key, out / "begun.txt") == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    elif behaviour == "bug":
        msg = f"no such thing as {NAME}"
        raise KeyError(msg)
    elif behaviour == "disk full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(study.pet.files[0]))
    elif behaviour == "memory":
        raise MemoryError
    elif behaviour == "suv":
        msg = f"Expected a weight in {study.pet.files[0]} of {study.study_instance_uid}; found none."
        raise SUVError(msg)
    return study


def count_of(key, path):
    return path.read_text().split().count(key)


def _write(folder, result, settings):
    with new_study_folder(folder) as new:
        (new / "page.png").write_bytes(result.study.key.encode())
        patient = {
            "study_key": folder.name,
            "patient_key": result.study.patient_key,
            "suv_kind": "bw",
            "lesion_count_all": 0,
        }
        facts = {"key": folder.name, "fingerprint": settings.fingerprint, "patient": patient, "lesions": []}
        hashes = seal(new, {"schema": SCHEMA, **facts, "seconds": {}})
    with (folder.parents[1] / "written.txt").open("a") as stream:
        stream.write(f"{folder.name}\n")
    return hashes


NOTHING_DONE = StudySteps(
    read=lambda study: study,
    convert=lambda series, _settings: series,
    request=lambda _study, _image, _settings: NoRequest,
    segment=lambda _image, _requests, _model, _cancel: (),
    measure=lambda _image, _mask: None,
    write=_write,
)


def search_many(sources, _workspace):
    """A search whose source says how many studies there are, and how some behave: "12 slow" or "12 3=kill,5=bug"."""
    number, _, text = sources[0].partition(" ")
    special = dict(item.split("=") for item in text.split(",")) if "=" in text else {}
    usual = text if not special else ""
    return [
        pretended_study(index, behaviour=special.get(str(index), usual), folder=Path(sources[1]))
        for index in range(int(number))
    ]


if __name__ == "__main__":  # a driver that tests may kill: SOURCE FOLDER OUT SCHEDULER
    from SegAnyPETLib.batch.runner import run_batch

    run_batch(
        sys.argv[1:3],
        out=Path(sys.argv[3]),
        scheduler=sys.argv[4],
        workers=2,
        search=search_many,
        run_one=run_pretended,
    )
