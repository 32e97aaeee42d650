"""Memory of a driver over very many studies that end at once: what it keeps for each must not add up.

The studies have as many files as real ones, which do not exist; the workers leave the result of one real study under
each key, so that journal and tables are as long as they would be.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import psutil
from study_collection import make_collection

from SegAnyPETLib.batch.outcome import StudyOutcome
from SegAnyPETLib.batch.runner import RunProgress, run_batch
from SegAnyPETLib.batch.settings import BatchSettings
from SegAnyPETLib.batch.study import FoundStudy, SeriesFiles

PET_SLICES, CT_SLICES = 299, 299  # of a whole body from skull to thigh
MIB = 1024**2
TEMPLATE = "template.json"


def found_studies(count: int) -> Iterator[FoundStudy]:
    """Studies as a search gives them, two of each patient."""
    for number in range(count):
        folder = Path(f"/archive/2026/patient {number // 2:05d}/study {number:05d}")
        uid = f"1.2.826.0.1.3680043.10.{number:08d}"
        yield FoundStudy(
            study_instance_uid=uid,
            patient_key=f"{number // 2:016x}",
            source=str(folder),
            study_date="20260302",
            pet=_series(f"{uid}.1", "PT", folder / "PET", PET_SLICES),
            ct=_series(f"{uid}.2", "CT", folder / "CT", CT_SLICES),
            choice="The only PET series.",
        )


def _series(uid: str, modality: str, folder: Path, slices: int) -> SeriesFiles:
    files = tuple(folder / f"{uid}.{number}.dcm" for number in range(slices))
    return SeriesFiles(uid, modality, "WB", files)


def leave_template(study: FoundStudy, *, settings: BatchSettings, out: Path, cancel: threading.Event) -> StudyOutcome:
    """In a worker: the result of one study under the key of another; everything else is left out."""
    content = json.loads((out.parent / TEMPLATE).read_text(encoding="utf-8"))
    old = content["key"]
    folder = out / "studies" / study.key
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**content, "fingerprint": settings.fingerprint}).replace(old, study.key)
    (folder / "study.json").write_text(text, encoding="utf-8")
    return StudyOutcome(
        study.key,
        "done",
        lesions=len(content["lesions"]),
        seconds=0.01,
        output_hashes=content["files"],
        version="quick",
    )


def measure_memory(count: int, folder: Path, *, workers: int = 2) -> tuple[dict[str, object], str]:
    """Run `count` quick studies, and say how much memory this process took.

    Returns:
        Plain values, and a text.
    """
    settings = BatchSettings(formats=("png",))
    make_template(folder)
    samples: list[tuple[float, int, float]] = []
    own, began = psutil.Process(), time.monotonic()
    at_start = own.memory_info().rss / MIB

    def look(progress: RunProgress) -> None:
        samples.append((time.monotonic() - began, progress.done_now, own.memory_info().rss / MIB))

    summary = run_batch(
        ["quick studies"],
        out=folder / "quick",
        settings=settings,
        scheduler="local",
        workers=workers,
        on_progress=look,
        search=lambda _sources, _workspace: found_studies(count),
        run_one=leave_template,
    )
    seconds = time.monotonic() - began
    done = np.array([(ended, size) for _, ended, size in samples if ended], dtype=float)
    growth = float(np.polyfit(*done.T, 1)[0]) if len(done) > 2 else 0.0
    marks = _marks(samples, count)
    lines = [
        f"{count} studies of {PET_SLICES} + {CT_SLICES} files, {workers} workers, {seconds:.0f} s: {summary.counts}",
        f"driver: {at_start:.0f} MiB before, {max(size for *_, size in samples):.0f} MiB at most, "
        f"{1024 * growth:.1f} KiB more for each study that ended",
        "MiB when so many had ended: " + ", ".join(f"{ended}: {size:.0f}" for ended, size in marks),
    ]
    facts: dict[str, object] = {"studies": count, "seconds": seconds, "counts": dict(summary.counts)}
    facts |= {"mib_before": at_start, "kib_per_study": 1024 * growth, "marks": marks}
    return facts, "\n".join(lines)


def make_template(folder: Path) -> None:
    """Do one real study, in a process of its own so that its model is not in the memory of this one; keep its facts."""
    expected = make_collection(folder / "one", studies=1, seed=1, faults=())
    out = folder / "one-out"
    words = ["-m", "SegAnyPETLib", "batch", str(expected[0].path), "--out", str(out)]
    words += ["--format", "png", "--device", "cpu", "--scheduler", "none", "--quiet"]
    subprocess.run([sys.executable, "-P", *words], check=True, stdout=subprocess.DEVNULL)
    (made,) = (out / "studies").glob("[0-9a-f]*/study.json")
    (folder / TEMPLATE).write_bytes(made.read_bytes())


def _marks(samples: Sequence[tuple[float, int, float]], count: int) -> list[tuple[int, float]]:
    wanted = [0, *(count * n // 10 for n in range(1, 11))]
    return [
        (number, next((size for _, ended, size in samples if ended >= number), samples[-1][2])) for number in wanted
    ]
