"""Find the PET series in a folder and choose one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pydicom.dataset import FileDataset

from SegAnyPETLib.data.dicom_files import (
    UnreadableFile,
    candidate_files,
    read_header_if_dicom,
    series_of_damaged_file,
)
from SegAnyPETLib.data.dicom_values import items, text, texts
from SegAnyPETLib.errors import DICOMError, InconsistentSeriesError, InputError

PET_IMAGE = "1.2.840.10008.5.1.4.1.1.128"
MULTIFRAME_CLASSES = ("1.2.840.10008.5.1.4.1.1.130", "1.2.840.10008.5.1.4.1.1.128.1")  # Enhanced, Legacy Converted
_PROJECTION_WORDS = ("LOCALIZER", "MIP", "PROJECTION IMAGE", "MAXIMUM", "REPROJECTION", "TOPOGRAM", "SCOUT")


@dataclass(frozen=True)
class SeriesSummary:
    """What there is to choose from.

    Attributes:
        series_instance_uid: Series Instance UID (0020,000E).
        description: Series Description (0008,103E), or an empty text.
        units: Units (0054,1001), None where the header says nothing at the usual place.
        file_count: Files of the series.
        is_attenuation_corrected: None where the header does not say.
        is_multiframe: True for Enhanced PET objects.
    """

    series_instance_uid: str
    description: str
    units: str | None
    file_count: int
    is_attenuation_corrected: bool | None
    is_multiframe: bool

    def __str__(self) -> str:
        corrected = {True: "attenuation corrected", False: "not attenuation corrected", None: "correction unknown"}
        kind = "multi-frame file(s)" if self.is_multiframe else "slices"
        return (
            f"{self.series_instance_uid}: {self.description or '(no description)'}, {self.file_count} {kind}, "
            f"{self.units or 'units unknown'}, {corrected[self.is_attenuation_corrected]}"
        )


@dataclass
class FoundSeries:
    """One PET series of a folder: its files with their headers."""

    summary_of: FileDataset
    files: list[tuple[Path, FileDataset]] = field(default_factory=list)

    @property
    def summary(self) -> SeriesSummary:
        """What a person needs to recognize the series."""
        first = self.summary_of
        return SeriesSummary(
            series_instance_uid=text(first, "SeriesInstanceUID") or "",
            description=text(first, "SeriesDescription") or "",
            units=text(first, "Units"),
            file_count=len(self.files),
            is_attenuation_corrected=attenuation_corrected(first),
            is_multiframe=text(first, "SOPClassUID") in MULTIFRAME_CLASSES,
        )


@dataclass
class FolderContent:
    """All PET series below a folder, and what else was there."""

    series: dict[str, FoundSeries] = field(default_factory=dict)
    ignored: Counter[str] = field(default_factory=Counter)
    unreadable: list[UnreadableFile] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [f"{count} {reason}" for reason, count in sorted(self.ignored.items())]
        parts += [f"unreadable {file.path.name} ({file.reason})" for file in self.unreadable[:3]]
        if len(self.unreadable) > 3:
            parts.append(f"{len(self.unreadable) - 3} more unreadable file(s)")
        return ", ".join(parts) or "no files"


def scan(paths: Iterable[Path]) -> FolderContent:
    """Sort files into PET series; other files are counted, damaged ones are noted."""
    content = FolderContent()
    for path in paths:
        try:
            dataset = read_header_if_dicom(path)
        except (DICOMError, OSError) as error:
            content.unreadable.append(UnreadableFile(path, str(error), series_of_damaged_file(path)))
            continue
        if dataset is None:
            content.ignored["file(s) that are not DICOM"] += 1
            continue
        reason = reason_to_ignore(dataset)
        uid = text(dataset, "SeriesInstanceUID")
        if reason is not None:
            content.ignored[reason] += 1
        elif uid is None:
            content.unreadable.append(UnreadableFile(path, "SeriesInstanceUID (0020,000E) is missing"))
        else:
            content.series.setdefault(uid, FoundSeries(dataset)).files.append((path, dataset))
    return content


def scan_folder(folder: Path) -> FolderContent:
    """Scan everything below a folder.

    Raises:
        InputError: It holds no files at all.
        DICOMError: It cannot be listed.
    """
    paths = candidate_files(folder)
    if not paths:
        msg = f"Expected a folder with a PET DICOM series; {folder} is empty. Check the path."
        raise InputError(msg)
    return scan(paths)


def choose(content: FolderContent, *, series_instance_uid: str | None, where: Path | str) -> FoundSeries:
    """The series that was asked for, or the only one there can be meant.

    Where several are found, one that is attenuation corrected is preferred to those that are not.

    Raises:
        DICOMError: There is none, or not the one asked for.
        InconsistentSeriesError: There are several; or a damaged file belongs to the chosen one.
    """
    if not content.series:
        msg = f"Expected a PET series (Modality PT) in {where}; found {content}. Check the folder."
        raise DICOMError(msg)
    if series_instance_uid is None:
        chosen = _only(content, where=where)
    elif series_instance_uid in content.series:
        chosen = content.series[series_instance_uid]
    else:
        msg = f"No PET series {series_instance_uid} in {where}; found:\n{_listed(content)}"
        raise DICOMError(msg)
    damaged = [file for file in content.unreadable if file.series_instance_uid == chosen.summary.series_instance_uid]
    if damaged:
        msg = f"The series is incomplete: {damaged[0].path.name} belongs to it but {damaged[0].reason}. Copy it again."
        raise InconsistentSeriesError(msg)
    return chosen


def attenuation_corrected(dataset: FileDataset) -> bool | None:
    """Whether the header says that attenuation was corrected; None where it says nothing."""
    flag = text(dataset, "AttenuationCorrected")
    if flag is not None:
        return flag == "YES"
    corrections = texts(dataset, "CorrectedImage")
    for group in items(dataset, "SharedFunctionalGroupsSequence")[:1]:
        for converted in items(group, "UnassignedSharedConvertedAttributesSequence")[:1]:
            corrections = corrections or texts(converted, "CorrectedImage")
    return "ATTN" in corrections if corrections else None


def reason_to_ignore(dataset: FileDataset) -> str | None:
    """Why an image can be no slice of a PET volume, in words that follow a count; None where it can be."""
    modality = text(dataset, "Modality")
    sop_class = text(dataset, "SOPClassUID")
    if modality != "PT":
        return f"file(s) of modality {modality or '(none)'}"
    if sop_class != PET_IMAGE and sop_class not in MULTIFRAME_CLASSES:
        return "PT file(s) that are no PET images"
    words = {word.upper() for keyword in ("ImageType", "SeriesType") for word in texts(dataset, keyword)}
    if any(known in word for word in words for known in _PROJECTION_WORDS):
        return "PT projection(s) or localizer(s)"
    return None


def _only(content: FolderContent, *, where: Path | str) -> FoundSeries:
    found = list(content.series.values())
    if len(found) > 1:
        corrected = [series for series in found if series.summary.is_attenuation_corrected]
        found = corrected if len(corrected) == 1 else found
    if len(found) > 1:
        msg = (
            f"Expected one PET series in {where}; found {len(found)}. "
            f"Choose one with series_instance_uid=:\n{_listed(content)}"
        )
        raise InconsistentSeriesError(msg)
    return found[0]


def _listed(content: FolderContent) -> str:
    return "\n".join(f"  {series.summary}" for series in content.series.values())
