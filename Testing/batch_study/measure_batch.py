"""A run over many studies with two workers: one worker is killed, then the driver; resumed; compared with the truth.

    python Testing/batch_study/measure_batch.py --studies 200 --keep study

Writes `report.json` and `report.txt` into the folder of `--keep`, or the text alone to the screen.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import psutil

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY), str(Path(__file__).resolve().parent)]

from compare_outcomes import Compared, as_plain, as_text, compare, read_lesions  # noqa: E402  in a folder just added
from study_collection import ExpectedStudy, make_collection, sources_of  # noqa: E402
from watch_run import Look, Watch, kill, wait_for_orphans, workers_of  # noqa: E402

KILL_WORKER_AT, KILL_DRIVER_AT = 0.2, 0.5  # of all studies
LIMIT_S_PER_STUDY = 60.0
ORPHANS_S = 60.0
VALIDATED = {"SEG": "lesions.seg.dcm", "SR": "report.sr.dcm", "RTSTRUCT": "lesions.rtstruct.dcm"}


def command(sources: Sequence[Path], out: Path, options: argparse.Namespace, *, resume: bool) -> list[str]:
    """The command line of the run, as a person would type it."""
    words = [sys.executable, "-P", "-m", "SegAnyPETLib", "batch", *map(str, sources), "--out", str(out)]
    words += ["--candidates", "suv:4.0", "--workers", str(options.workers), "--device", options.device]
    return [*words, "--resume"] if resume else words


def measure(options: argparse.Namespace, folder: Path) -> tuple[dict[str, object], list[Compared]]:
    """The whole study."""
    began = time.monotonic()
    expected = make_collection(folder / "source", studies=options.studies, seed=options.seed)
    made_s = time.monotonic() - began
    sources, out = sources_of(expected, folder / "source"), folder / "out"
    watch = Watch(out)
    watch.note(f"{len(expected)} studies made in {made_s:.0f} s")
    first, orphans = run_with_kills(watch, sources, out, options, expected)
    at_kill = results_of(out)
    began = time.monotonic()
    _, resumed = watch.run(command(sources, out, options, resume=True), log=out.with_name("log-2.txt"),
                           limit_s=LIMIT_S_PER_STUDY * options.studies)  # fmt: skip
    resumed_s = time.monotonic() - began
    finished, ended_looks = results_of(out), len(watch.looks)
    began = time.monotonic()
    _, again = watch.run(command(sources, out, options, resume=True), log=out.with_name("log-3.txt"),
                         limit_s=LIMIT_S_PER_STUDY * options.studies)  # fmt: skip
    again_s = time.monotonic() - began
    rows = watch.rows()
    compared = compare(expected, rows, read_lesions(out / "lesions.csv"))
    facts = {
        "machine": machine(),
        "options": {"studies": options.studies, "seed": options.seed, "workers": options.workers},
        "seconds": {"making": made_s, "resumed run": resumed_s, "run again": again_s},
        "exit": {"first": first, "resumed": resumed, "again": again},
        "orphans": {"seconds": orphans[0], "ended_by_us": orphans[1]},
        "kept": kept(at_kill, finished),
        "run_again": kept(finished, results_of(out)),
        "strays": strays(out),
        "attempts": attempts(compared),
        "pace": pace(watch.looks[:ended_looks], rows),
        "memory_mib": memory(watch.looks),
        "states": states(rows),
        "validated": validate(out, options.validate),
        "events": watch.events,
        "looks": [asdict(look) for look in watch.looks],
    }
    return facts, compared


def run_with_kills(
    watch: Watch, sources: Sequence[Path], out: Path, options: argparse.Namespace, expected: Sequence[ExpectedStudy]
) -> tuple[int | None, tuple[float, int]]:
    """The run until its driver is killed: how it ended, and how long its workers outlived it."""
    goal = sum(study.state in ("done", "failed") for study in expected)  # the others never begin

    def has(share: float):
        return lambda look: look.counts.get("done", 0) + look.counts.get("failed", 0) >= share * goal

    limit_s = LIMIT_S_PER_STUDY * options.studies
    words, log = command(sources, out, options, resume=False), out.with_name("log-1.txt")
    driver, status = watch.run(words, log=log, until=has(KILL_WORKER_AT), limit_s=limit_s)
    if status is not None:
        return status, (0.0, 0)
    workers = workers_of(driver)
    if workers:
        kill(workers[0])
        watch.note(f"worker {workers[0].pid} killed, {len(workers) - 1} left")
    status = watch.go_on(driver, until=has(KILL_DRIVER_AT), limit_s=limit_s)
    if status is not None:
        return status, (0.0, 0)
    below = driver.children(recursive=True)
    kill(driver)
    watch.note("driver killed")
    status = driver.wait()
    orphans = wait_for_orphans(below, limit_s=ORPHANS_S)
    watch.note(f"its {len(below)} processes were gone after {orphans[0]:.1f} s, {orphans[1]} of them ended here")
    return status, orphans


def results_of(out: Path) -> dict[str, tuple[int, str]]:
    """Study key -> when its `study.json` was written, and the hash of all its files."""
    found = {}
    for folder in sorted((out / "studies").glob("[0-9a-f]*")):
        if (folder / "study.json").is_file():
            digest = hashlib.sha256()
            for path in sorted(folder.iterdir()):
                digest.update(path.name.encode() + path.read_bytes())
            found[folder.name] = ((folder / "study.json").stat().st_mtime_ns, digest.hexdigest())
    return found


def kept(before: dict[str, tuple[int, str]], after: dict[str, tuple[int, str]]) -> dict[str, int]:
    """Whether results were lost, written again or changed."""
    both = before.keys() & after.keys()
    return {
        "before": len(before),
        "after": len(after),
        "lost": len(before.keys() - after.keys()),
        "written_again": sum(before[key][0] != after[key][0] for key in both),
        "changed": sum(before[key][1] != after[key][1] for key in both),
    }


def strays(out: Path) -> list[str]:
    """Whatever lies in the folder of the run and should not: halves of results, temporary files."""
    return [str(path.relative_to(out)) for path in sorted(out.rglob(".*"))]


def attempts(compared: Sequence[Compared]) -> dict[str, int]:
    """Attempts -> studies; more than one only where a process was killed under the study."""
    numbers = [each.attempts for each in compared]
    return {str(number): numbers.count(number) for number in sorted(set(numbers))}


def states(rows: Sequence[object]) -> dict[str, int]:
    """State -> studies."""
    found = [row.state for row in rows]
    return {state: found.count(state) for state in sorted(set(found))}


def pace(looks: Sequence[Look], rows: Sequence[object]) -> dict[str, object]:
    """Studies over time: is the second half as quick as the first? And how much work was done side by side?"""
    ends = sorted((row.updated_at, row.seconds) for row in rows if row.state == "done" and row.seconds)
    if len(ends) < 4:
        return {}
    seconds = np.array([value for _, value in ends])
    thirds = [float(np.median(part)) for part in np.array_split(seconds, 3)]
    busy = [b.at_s - a.at_s for a, b in pairwise(looks) if b.counts.get("running")]
    return {
        "median_study_s_by_third": thirds,
        "study_s": {str(p): float(np.percentile(seconds, p)) for p in (5, 50, 95)},
        "sum_of_studies_s": float(seconds.sum()),
        "wall_s_while_running": float(sum(b for b in busy if b < 10)),
        "seconds_per_lesion_and_study": per_lesion(rows),
    }


def per_lesion(rows: Sequence[object]) -> dict[str, float]:
    """Least squares over the studies done: seconds of a study = constant + slope times lesions."""
    done = [
        (row.lesions, row.seconds) for row in rows if row.state == "done" and row.seconds and row.lesions is not None
    ]
    lesions, seconds = np.array(done, dtype=float).T
    if len(set(lesions)) < 2:
        return {}
    slope, constant = np.polyfit(lesions, seconds, 1)
    return {"constant_s": float(constant), "s_per_lesion": float(slope),
            "correlation": float(np.corrcoef(lesions, seconds)[0, 1])}  # fmt: skip


def memory(looks: Sequence[Look]) -> dict[str, object]:
    """Of the driver and of its largest worker, over ten parts of the time."""
    parts = [part for part in np.array_split(np.arange(len(looks)), 10) if len(part)]
    return {
        "driver_highest": max((look.driver_mib for look in looks), default=0.0),
        "worker_highest": max((size for look in looks for size in look.workers_mib), default=0.0),
        "driver": [max(looks[n].driver_mib for n in part) for part in parts],
        "largest_worker": [max(max(looks[n].workers_mib, default=0.0) for n in part) for part in parts],
    }


def validate(out: Path, count: int) -> dict[str, object]:
    """dciodvfy over a sample: lines that are errors, each once, with how often."""
    tool = shutil.which("dciodvfy")
    if tool is None:
        return {"tool": "dciodvfy is not installed"}
    found: dict[str, object] = {}
    for name, file in VALIDATED.items():
        paths = sorted((out / "studies").glob(f"[0-9a-f]*/{file}"))
        sample = paths[:: max(1, len(paths) // max(1, count))][:count]
        errors: dict[str, int] = {}
        for path in sample:
            done = subprocess.run(
                [tool, "-new", str(path)], capture_output=True, text=True, errors="replace", check=False
            )
            for line in (done.stdout + done.stderr).splitlines():
                if line.startswith("Error"):
                    errors[line] = errors.get(line, 0) + 1
        found[name] = {"objects": len(paths), "validated": len(sample), "errors": errors}
    return found


def machine() -> dict[str, object]:
    """Where it was measured, and how busy that was."""
    return {"processor": platform.processor() or platform.machine(), "cores": psutil.cpu_count(),
            "memory_gib": psutil.virtual_memory().total / 1024**3, "python": platform.python_version(),
            "load": os.getloadavg() if hasattr(os, "getloadavg") else None}  # fmt: skip


def report(facts: dict[str, object], compared: Sequence[Compared]) -> str:
    """Everything a person reads."""
    parts = [as_text(compared), ""]
    names = ("machine", "options", "states", "exit", "seconds", "orphans", "kept", "run_again", "strays", "attempts",
             "pace", "memory_mib", "validated")  # fmt: skip
    for name in names:
        parts.append(f"{name.replace('_', ' ')}: {json.dumps(facts[name], default=str)}")
    parts += ["", *(f"{at:8.1f} s  {what}" for at, what in facts["events"])]
    return "\n".join(parts)


def copy_page(expected_out: Path, folder: Path) -> None:
    """The report page of the study with most lesions."""
    lesions = read_lesions(expected_out / "lesions.csv")
    for key in sorted(lesions, key=lambda name: -len(lesions[name])):
        page = expected_out / "studies" / key / "page.png"
        if page.is_file():
            shutil.copyfile(page, folder / "page.png")
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda ...")
    parser.add_argument("--validate", type=int, default=20, help="objects of each kind for dciodvfy")
    parser.add_argument("--keep", type=Path, help="work in this new folder and leave everything there")
    parser.add_argument("--memory-of", type=int, help="only the memory of a driver over so many quick studies")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        if options.memory_of:
            from memory_of_driver import measure_memory

            facts, text = measure_memory(options.memory_of, folder)
        else:
            facts, compared = measure(options, folder)
            text = report(facts, compared)
            facts["studies"] = as_plain(compared)
            copy_page(folder / "out", folder)
        (folder / "report.json").write_text(json.dumps(facts, indent=1, default=str), encoding="utf-8")
        (folder / "report.txt").write_text(text + "\n", encoding="utf-8")
        sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
