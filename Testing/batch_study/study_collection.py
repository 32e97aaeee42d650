"""A collection of studies of three vendors, in all orientations, some of them faulty, whose truth is known.

    from study_collection import make_collection
    expected = make_collection(folder, studies=200, seed=1)

The tree, the ZIP archives and the media with a DICOMDIR lie apart; `sources_of` names what a run is to be given.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from companion_series import capture, ct_slices, other_reconstruction, projections, uncorrected
from pydicom.dataset import Dataset
from pydicom.fileset import FileSet
from study_faults import OUTCOMES, State, can_be_made, not_dicom, spoil_file, spoil_slices
from study_recipes import BLOCK, FAULTS, Recipe, plan
from vendor_headers import pet_slices

from SegAnyPETLib.batch.study import hashed
from SegAnyPETLib.phantom import Phantom

# A slice is stored in steps of its largest value / 32767, so each value is right to 1.6e-5 of the largest of its slice.
SUV_TOLERANCE = 1e-4


@dataclass(frozen=True)
class ExpectedLesion:
    """A lesion as it was put in.

    Attributes:
        centre_lps_mm: Of the ball.
        diameter_mm: Of the ball.
        volume_ml: Of the ball.
        suv_max: The largest voxel in it, SUVbw in g/ml, right to `SUV_TOLERANCE` of itself.
    """

    centre_lps_mm: tuple[float, float, float]
    diameter_mm: float
    volume_ml: float
    suv_max: float


@dataclass(frozen=True)
class ExpectedStudy:
    """A study and what should come of it.

    Attributes:
        recipe: How it was made; `recipe.phantom()` is the truth.
        path: Folder, archive or DICOMDIR that holds it.
        study_instance_uid: Study Instance UID.
        pet_series_uid: Of the series to be segmented.
        keys: Those the study may have in a journal, with a series chosen and without.
        state: As in the journal; absent where nothing is to be found.
        words: Each must be in the reason, in any letter case.
        lesions: What is to be found.
    """

    recipe: Recipe
    path: Path
    study_instance_uid: str
    pet_series_uid: str
    keys: frozenset[str]
    state: State
    words: tuple[str, ...]
    lesions: tuple[ExpectedLesion, ...]

    @property
    def kind(self) -> str:
        """The fault, or what the study is like."""
        return self.recipe.fault or "sound"


def make_collection(
    folder: Path | str,
    *,
    studies: int,
    seed: int,
    faults: Sequence[str] = FAULTS,
    block: int = BLOCK,
) -> list[ExpectedStudy]:
    """Write the studies; the same numbers give the same files.

    Args:
        folder: New or empty.
        studies: How many.
        seed: Of lesions, patients and UIDs.
        faults: Those to have, each once in every `block` studies.
        block: At least as long as `faults`; equal to it, no study is sound.

    Returns:
        One per study in the order they were made; those that cannot be made here (files that root may not read) are
        left out.
    """
    folder = Path(folder)
    made = []
    for recipe in plan(studies, seed=seed, faults=tuple(faults), block=block):
        if can_be_made(recipe.fault):
            with tempfile.TemporaryDirectory() as scratch:
                phantom = recipe.phantom()
                made.append(_expected(recipe, phantom, _write(recipe, phantom, folder, Path(scratch))))
    return made


def sources_of(expected: Sequence[ExpectedStudy], folder: Path | str) -> list[Path]:
    """What to give to a run: the tree, and each archive and DICOMDIR."""
    tree = Path(folder) / "tree"
    return [tree, *(study.path for study in expected if study.path.is_file())]


def _expected(recipe: Recipe, phantom: Phantom, path: Path) -> ExpectedStudy:
    outcome = OUTCOMES[recipe.fault or "sound"]
    lesions = _lesions(phantom) if outcome.state == "done" else ()
    study, series = recipe.uid("study"), recipe.uid("series PET")
    names = ("", series, recipe.uid("series other reconstruction"), recipe.uid("series uncorrected"))
    return ExpectedStudy(
        recipe=recipe,
        path=path,
        study_instance_uid=study,
        pet_series_uid=series,
        keys=frozenset(hashed(study, name) for name in names),
        state=outcome.state,
        words=outcome.words,
        lesions=lesions,
    )


def _lesions(phantom: Phantom) -> tuple[ExpectedLesion, ...]:
    return tuple(
        ExpectedLesion(
            centre_lps_mm=item.centre_lps_mm,
            diameter_mm=float((6000 * item.true_volume_ml / np.pi) ** (1 / 3)),
            volume_ml=item.true_volume_ml,
            suv_max=float(phantom.activity_suv[item.mask].max()),
        )
        for item in phantom.lesions
    )


def _write(recipe: Recipe, phantom: Phantom, folder: Path, scratch: Path) -> Path:
    """One study at its place, and that place."""
    tree = folder / "tree"
    if recipe.fault == "empty folder":
        (tree / recipe.name).mkdir(parents=True)
        return tree / recipe.name
    if recipe.fault == "not DICOM":
        not_dicom(tree / recipe.name)
        return tree / recipe.name
    series = _all_series(recipe, phantom, scratch / "phantom")
    if recipe.layout == "zip":
        _write_series(recipe, series, scratch / "study")
        return _zipped(scratch / "study", folder / "archives" / f"{recipe.name}.zip")
    if recipe.layout == "media":
        return _write_media(series, folder / "media" / recipe.name)
    place = tree / recipe.name
    if recipe.layout == "nested":
        place = (
            tree / f"patient {recipe.patient:04d}" / recipe.acquisition.injected_at.strftime("%Y-%m-%d") / "Übersicht"
        )
    _write_series(recipe, series, place)
    return place


def _all_series(recipe: Recipe, phantom: Phantom, scratch: Path) -> dict[str, list[Dataset]]:
    if recipe.fault == "no PET":
        return {"CT": ct_slices(recipe)}
    sound = pet_slices(recipe, phantom, scratch)
    beside = {
        "CT": lambda: ct_slices(recipe),
        "projections": lambda: projections(recipe, sound),
        "capture": lambda: capture(recipe),
        "uncorrected": lambda: uncorrected(recipe, sound),
        "other reconstruction": lambda: other_reconstruction(recipe, sound),
    }
    companions = recipe.companions
    if recipe.fault == "two reconstructions":
        companions += ("other reconstruction",)
    series = {name: beside[name]() for name in companions}
    return {"PET": spoil_slices(recipe.fault, sound, recipe), **series}


def _write_series(recipe: Recipe, series: dict[str, list[Dataset]], place: Path) -> None:
    """Each series in a folder of its own, or all together; the names say nothing of the order of the slices."""
    rng = recipe.random("names")
    for number, (name, slices) in enumerate(series.items()):
        folder = place / f"{number + 1:02d} {name}" if recipe.layout == "nested" else place
        folder.mkdir(parents=True, exist_ok=True)
        order = rng.sample(range(len(slices)), len(slices))
        files = [folder / _file_name(recipe, number, place_in_order) for place_in_order in order]
        for dataset, path in zip(slices, files, strict=True):
            dataset.save_as(path, enforce_file_format=True)
        if name == "PET":
            spoil_file(recipe.fault, files, recipe)


def _file_name(recipe: Recipe, series: int, number: int) -> str:
    if recipe.layout == "no suffix":
        return f"I{1000 * series + number:05d}"
    return f"PT.{series}.{number:04d}.dcm" if recipe.number % 2 else f"{recipe.uid(f'file {series} {number}')}.dcm"


def _zipped(folder: Path, archive: Path) -> Path:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as opened:
        for path in sorted(folder.rglob("*")):
            # A fixed date, so that the same study gives the same bytes.
            opened.writestr(zipfile.ZipInfo(str(path.relative_to(folder))), path.read_bytes())
    return archive


def _write_media(series: dict[str, list[Dataset]], folder: Path) -> Path:
    files = FileSet()
    for slices in series.values():
        for dataset in slices:
            files.add(dataset)
    folder.parent.mkdir(parents=True, exist_ok=True)
    files.write(folder)
    files._stage["t"].cleanup()  # nothing public does, and left to the garbage collector it warns
    return folder / "DICOMDIR"
