"""Find the cases in a folder and propose a manifest; nothing in the folder is changed.

What is found: image files with a label beside them (``pet.nii.gz`` and ``gtv.nii.gz``, ``SUV.nii.gz`` and
``SEG.nii.gz``, ``NAME_pet.nrrd`` and ``NAME_seg.nrrd``), nnU-Net's ``imagesTr`` and ``labelsTr``, DICOM PET series with
the DICOM SEG or RT Structure Set that refers to them, and the study folders of a batch run.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from SegAnyPETLib.data.dicom_files import candidate_files
from SegAnyPETLib.errors import InputError
from SegAnyPETLib.finetune.cohort.found_batch import STUDY_JSON, entries_of_study
from SegAnyPETLib.finetune.cohort.found_dicom import DICOMFinds
from SegAnyPETLib.finetune.cohort.found_files import ENDINGS, FoundPair, pairs_in_folder, pairs_of_nnunet
from SegAnyPETLib.finetune.cohort.manifest import LONGEST_NAME, CohortEntry, Manifest, Quality
from SegAnyPETLib.finetune.cohort.splits import propose_splits

MOST_OF_ALL = 0.5  # share of the cases that one patient should not exceed
FEWEST_TO_DOUBT = 4


def propose_manifest(
    folder: Path | str,
    *,
    images: Sequence[Path | str] = (),
    quality: Quality = "HQ",
    seed: int = 0,
    validation_share: float = 0.2,
    test_share: float = 0.0,
) -> Manifest:
    """Find cases and propose quality and splits; write it with `write_manifest`, look at it, correct it.

    Patients are told apart by Patient ID in DICOM (the manifest holds a number instead), by the key of the patient in
    results of a batch run, and by the first folder that differs between cases elsewhere. Of a batch run the lesions
    that a person has corrected are HQ and the others LQ; lesions marked as physiological are left out.

    Args:
        folder: Searched with all folders below.
        images: Further folders where the DICOM PET of batch results lies; a batch run keeps results only.
        quality: Of labels that do not say.
        seed: Of the splits, as the next two; see `propose_splits`.
        validation_share: Of the patients.
        test_share: Of the patients.

    Raises:
        InputError: There is no such folder, or no case in it.
        DICOMError: The folder cannot be listed.
    """
    root = Path(folder).absolute()
    for place in (root, *(Path(one).absolute() for one in images)):
        if not place.is_dir():
            msg = f"Expected a folder of cases; found none at {place}. Check the path."
            raise InputError(msg)
    files = candidate_files(root)
    studies = sorted({path.parent for path in files if path.name == STUDY_JSON})
    others = [path for path in files if path.parent not in studies]
    finds, notes = DICOMFinds(), list[str]()
    volumes = [path for path in others if path.name.lower().endswith(ENDINGS)]
    finds.add(path for path in others if path not in set(volumes))
    entries = _of_files(root, volumes, quality, notes)
    entries += finds.entries(quality, notes)
    for elsewhere in images:
        finds.add(candidate_files(Path(elsewhere).absolute()))
    for study in studies:
        entries += entries_of_study(study, finds, notes)
    if not entries:
        msg = (
            f"Expected cases (PET with a label) below {root}; found none among {len(files)} files. "
            f"{' '.join(notes)}".rstrip()
        )
        raise InputError(msg)
    notes += _notes(entries, quality)
    manifest = Manifest(tuple(_named_apart(entries)), tuple(notes))
    return propose_splits(manifest, seed=seed, validation_share=validation_share, test_share=test_share)


def _of_files(root: Path, volumes: Sequence[Path], quality: Quality, notes: list[str]) -> list[CohortEntry]:
    pairs: list[FoundPair] = []
    folders: dict[Path, list[Path]] = {}
    for path in volumes:
        folders.setdefault(path.parent, []).append(path)
    done: set[Path] = set()
    for place in sorted(folders):
        if place.name.startswith("images") and (labels := place.with_name("labels" + place.name[6:])) in folders:
            pairs += pairs_of_nnunet(folders[place], folders[labels], notes)
            done |= {place, labels}
    for place in sorted(set(folders) - done):
        pairs += pairs_in_folder(folders[place], notes)
    if not pairs:
        return []
    shared = Path(os.path.commonpath([pair.image.parent for pair in pairs]))
    shared = shared if len({pair.image.parent for pair in pairs}) > 1 else root
    made = []
    for pair in pairs:
        parts = () if pair.is_nnunet else pair.image.parent.relative_to(shared).parts
        name = "_".join([*parts, *([pair.key] if pair.key else [])]) or root.name or "case"
        patient = parts[0] if parts else pair.key or name
        made.append(CohortEntry(_fit(name), _fit(patient), pair.image, pair.label, quality))
    return made


def _fit(name: str) -> str:
    """A name that an entry takes."""
    shown = "".join(c for c in name if c.isprintable()).strip()
    return shown[-LONGEST_NAME:].strip() or "case"


def _named_apart(entries: Iterable[CohortEntry]) -> list[CohortEntry]:
    """The same, numbered where two have one name."""
    taken: set[str] = set()
    named = []
    for entry in entries:
        name, number = entry.case, 2
        while name in taken:
            name, number = f"{entry.case[: LONGEST_NAME - 5]}_{number}", number + 1
        taken.add(name)
        named.append(replace(entry, case=name))
    return named


def _notes(entries: Sequence[CohortEntry], quality: Quality) -> list[str]:
    patients = Counter(entry.patient for entry in entries)
    notes = [f"{len(entries)} cases of {len(patients)} patients were found. Check who is the same patient."]
    patient, count = patients.most_common(1)[0]
    if count > MOST_OF_ALL * len(entries) and len(entries) >= FEWEST_TO_DOUBT:
        notes.append(f"{count} cases were taken for one patient ({patient}); correct the column if that is wrong.")
    if quality == "HQ" and any(entry.quality == "HQ" for entry in entries):
        notes.append("Labels that do not say how they were drawn are called HQ; write LQ where nobody took care.")
    return notes
