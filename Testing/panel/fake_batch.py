"""A batch run that segments nothing: it fills a journal as told and heeds what the panel asks for.

Started in place of ``python -m SegAnyPETLib``; what it does stands in `plan.json` beside this run's folder.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from SegAnyPETLib.batch.journal import Journal
from SegAnyPETLib.batch.outcome import StudyOutcome
from SegAnyPETLib.batch.settings import BatchSettings
from SegAnyPETLib.batch.study import FoundStudy, SeriesFiles

STEP_S = 0.02


def found(number: int, source: str, *, doubts=(), problems=()) -> FoundStudy:
    pet = SeriesFiles(f"1.2.{number}", "PT", "PET", ())
    return FoundStudy(f"1.1.{number}", "patient", source, None, pet, None, "the only one", tuple(doubts), problems)


def studies_of(plan: dict) -> list[FoundStudy]:
    return [
        found(n, study["source"], doubts=study.get("doubts", ()), problems=tuple(study.get("problems", ())))
        for n, study in enumerate(plan["studies"])
    ]


def run(out: Path, plan: dict, sources: list[str], settings: BatchSettings) -> int:
    if plan.get("fails"):
        sys.stderr.write(plan["fails"] + "\n")
        return 2
    path = out / "journal.sqlite"
    if path.exists():
        journal = Journal.open(path)
    else:
        journal = Journal.create(path, settings=settings, sources=sources, version="0")
    journal.take(patience=lambda _trouble: False)
    studies = studies_of(plan)
    journal.add(studies)
    for study, wanted in zip(studies, plan["studies"], strict=True):
        if journal.row(study.key).state != "waiting":
            continue
        while journal.wish() == "pause":
            journal.beat()
            time.sleep(STEP_S)
        if journal.wish() == "stop":
            break
        journal.claim(study.key, "worker")
        journal.beat()
        time.sleep(plan.get("seconds", STEP_S))
        if wanted.get("error"):
            journal.fail(study.key, wanted["error"], "SUVError")
        else:
            journal.finish(study.key, StudyOutcome(study.key, "done", lesions=wanted["lesions"], seconds=12.0))
    journal.leave()
    return 0


def main(arguments: list[str]) -> int:
    out = Path(arguments[arguments.index("--out") + 1])
    plan = json.loads((out.parent / "plan.json").read_text(encoding="utf-8"))
    (out.parent / "arguments.json").write_text(json.dumps(arguments), encoding="utf-8")
    if "--dry-run" not in arguments:
        words = (arguments[arguments.index(name) + 1] for name in ("--candidates", "--format", "--model"))
        rule, formats, model = words
        settings = BatchSettings(candidates=rule, formats=tuple(formats.split(",")), model=model)
        return run(out, plan, arguments[1 : arguments.index("--candidates")], settings)
    time.sleep(plan.get("seconds", STEP_S))
    answer = [
        {
            "key": study.key,
            "source": study.source,
            "plan": "segment",
            "choice": study.choice,
            "doubts": study.doubts,
            "problems": study.problems,
        }
        for study in studies_of(plan)
    ]
    sys.stdout.write(json.dumps({"studies": answer}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
