"""A whole run over one study of each kind: right results, the right reason for each that has none, and no second time.

Everything is the product's own but the network, in whose place all that is hot around the click is the lesion.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from SegAnyPETLib.batch.loaded_models import LoadedModel, LoadedModels
from SegAnyPETLib.batch.runner import RunSummary, run_batch
from SegAnyPETLib.batch.settings import BatchSettings
from SegAnyPETLib.batch.study_run import run_study
from SegAnyPETLib.batch.study_steps import usual_steps

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "batch_study"))

from compare_outcomes import Compared, compare, read_lesions
from measure_batch import kept, results_of
from study_collection import ExpectedStudy, make_collection, sources_of
from study_recipes import FAULTS

HOT_SUV = 3.0
STUDIES = 26  # each fault once, and eight sound ones


@dataclass(frozen=True, eq=False)
class HotRegion:
    mask: np.ndarray
    score: float = 0.9
    volume_interval_ml: tuple[float, float] | None = None
    notices: tuple[str, ...] = ()


class NoModels(LoadedModels):
    def get(self, settings):
        return LoadedModel(None, "hot region", "")


def hot_regions(image, requests, model, cancel) -> list[HotRegion]:
    labels, _ = ndimage.label(image.array >= HOT_SUV)
    places = [image.grid.nearest_voxel_kji(request.prompts[0].lps_mm) for request in requests]
    return [HotRegion(labels == labels[place]) for place in places]


def run_quickly(study, *, settings, out, cancel):
    steps = replace(usual_steps(), segment=hot_regions)
    return run_study(study, settings=settings, out=out, models=NoModels(), cancel=cancel, steps=steps)


@dataclass(frozen=True)
class FinishedRun:
    expected: Sequence[ExpectedStudy]
    sources: list[str]
    out: Path
    summary: RunSummary
    compared: dict[str, list[Compared]]

    def again(self) -> RunSummary:
        return _run(self.sources, self.out)


@pytest.fixture(scope="module")
def a_finished_run(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    folder = tmp_path_factory.mktemp("batch")
    expected = make_collection(folder / "source", studies=STUDIES, seed=21, faults=FAULTS, block=STUDIES)
    sources = [str(path) for path in sources_of(expected, folder / "source")]
    out = folder / "out"
    summary = _run(sources, out)
    by_kind: dict[str, list[Compared]] = {}
    for each in compare(expected, summary.rows, read_lesions(out / "lesions.csv")):
        by_kind.setdefault(each.kind, []).append(each)
    return FinishedRun(expected, sources, out, summary, by_kind)


@pytest.mark.parametrize("kind", ["sound", *FAULTS])
def test_every_kind_of_study_ends_as_it_should_and_says_why(a_finished_run, kind):
    if kind not in a_finished_run.compared:
        pytest.skip("root may read every file")
    assert [each.faults for each in a_finished_run.compared[kind] if each.faults] == []


def test_the_journal_has_no_other_studies_and_keeps_patients_apart(a_finished_run):
    assert "unexpected" not in a_finished_run.compared


def test_a_second_run_changes_nothing(a_finished_run):
    before = results_of(a_finished_run.out)
    a_finished_run.again()
    after = kept(before, results_of(a_finished_run.out))
    assert after == {"before": len(before), "after": len(before), "lost": 0, "written_again": 0, "changed": 0}
    assert len(before) == sum(study.state == "done" for study in a_finished_run.expected)


def _run(sources: list[str], out: Path) -> RunSummary:
    settings = BatchSettings(formats=("seg", "nifti"), device="cpu")
    return run_batch(sources, out=out, settings=settings, scheduler="none", run_one=run_quickly)
