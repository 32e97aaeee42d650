"""Result files: the ending of a name decides what is written."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.cli.study import Study
from SegAnyPETLib.data.segment import PALETTE_RGB
from SegAnyPETLib.errors import InputError, OutputError
from SegAnyPETLib.version import __version__

if TYPE_CHECKING:
    from SegAnyPETLib.data import PETSeries, Segment
    from SegAnyPETLib.report import MeasuresRow
    from SegAnyPETLib.session import Point
    from SegAnyPETLib.session.prompts import Prompt
    from SegAnyPETLib.suv import LesionMeasures


@dataclass(frozen=True)
class Finding:
    """One segmented lesion.

    Attributes:
        label: Its name.
        mask: (K, J, I), not empty.
        prompts: What led to it.
        score: Confidence, 0 to 1.
        volume_interval_ml: Where the true volume is expected; None where the model is not calibrated.
    """

    label: str
    mask: NDArray[np.bool_]
    prompts: tuple[Prompt, ...]
    score: float
    volume_interval_ml: tuple[float, float] | None = None

    @property
    def clicks(self) -> tuple[Point, ...]:
        """The points among the prompts."""
        from SegAnyPETLib.session import Point

        return tuple(prompt for prompt in self.prompts if isinstance(prompt, Point))


@dataclass(frozen=True)
class OutputFile:
    """A file to write.

    Attributes:
        path: Where.
        ending: One of `ENDINGS`.
    """

    path: Path
    ending: str


@dataclass(frozen=True)
class _Content:
    study: Study
    findings: Sequence[Finding]
    segments: Sequence[Segment]
    measures: Sequence[LesionMeasures]
    model: str

    def rows(self) -> list[MeasuresRow]:
        """The lines of a table of measures."""
        from SegAnyPETLib.report import MeasuresRow

        return [
            MeasuresRow(
                finding.label,
                measures,
                model=self.model,
                score=finding.score,
                click_count=len(finding.prompts),
                volume_interval_ml=finding.volume_interval_ml,
            )
            for finding, measures in zip(self.findings, self.measures, strict=True)
        ]


def parse_output(text: str) -> OutputFile:
    """A file name with a known ending; argparse calls this."""
    for ending in ENDINGS:
        if text.lower().endswith(ending) and Path(text).name.lower() != ending:
            return OutputFile(Path(text), ending)
    msg = f"expected a name that ends with {' '.join(ENDINGS)}; found {text!r}"
    raise argparse.ArgumentTypeError(msg)


def require_writable(outputs: Sequence[OutputFile], study: Study) -> None:
    """Refuse what cannot work before the model is run.

    Raises:
        OutputError: A folder does not exist, or a name is that of a folder.
        InputError: DICOM is asked for, and the image is not DICOM.
    """
    for output in outputs:
        if not output.path.parent.is_dir() or output.path.is_dir():
            msg = f"Expected the name of a file in an existing folder; found {output.path}. Make the folder first."
            raise OutputError(msg)
        if output.ending in _OF_A_SERIES and study.series is None:
            msg = (
                f"Expected a DICOM series as input to write {_OF_A_SERIES[output.ending]} ({output.path}), which "
                "refers to it; found a volume file. Write .seg.nrrd or .nii.gz instead."
            )
            raise InputError(msg)


def write_outputs(
    outputs: Sequence[OutputFile], study: Study, findings: Sequence[Finding], *, model: str
) -> list[LesionMeasures]:
    """Measure the findings and write every file, each whole or not at all.

    Pictures show all findings, in planes through the first click of the largest one.

    Returns:
        The measures, one per finding.

    Raises:
        OutputError: A file cannot be written; those before it are complete.
    """
    from SegAnyPETLib.data import Algorithm, Segment
    from SegAnyPETLib.suv import compute_measures

    measures = [compute_measures(study.image, finding.mask) for finding in findings]
    algorithm = Algorithm(f"SegAnyPET {model}", __version__)
    segments = [
        Segment(finding.label, finding.mask, PALETTE_RGB[index % len(PALETTE_RGB)], algorithm=algorithm)
        for index, finding in enumerate(findings)
    ]
    content = _Content(study, findings, segments, measures, model)
    for output in outputs:
        _WRITERS[output.ending](output.path, content)
    return measures


def _write_nifti(path: Path, content: _Content) -> None:
    from SegAnyPETLib.data import write_mask_nifti

    union = np.logical_or.reduce([finding.mask for finding in content.findings])
    write_mask_nifti(path, union, grid=content.study.image.grid)


def _write_seg_nrrd(path: Path, content: _Content) -> None:
    from SegAnyPETLib.data import write_seg_nrrd

    write_seg_nrrd(path, content.segments, grid=content.study.image.grid)


def _write_dicom_seg(path: Path, content: _Content) -> None:
    from SegAnyPETLib.data import write_dicom_seg

    write_dicom_seg(path, source=_series(path, content), segments=content.segments)


def _write_rtstruct(path: Path, content: _Content) -> None:
    from SegAnyPETLib.data import write_rtstruct

    write_rtstruct(path, source=_series(path, content), segments=content.segments)


def _series(path: Path, content: _Content) -> PETSeries:
    if content.study.series is None:
        msg = f"Expected a DICOM series as input to write {path}; found a volume file."
        raise InputError(msg)
    return content.study.series


def _write_csv(path: Path, content: _Content) -> None:
    from SegAnyPETLib.report import write_measures_csv

    write_measures_csv(path, content.rows())


def _write_json(path: Path, content: _Content) -> None:
    from SegAnyPETLib.report import write_measures_json

    write_measures_json(path, content.rows())


def _write_png(path: Path, content: _Content) -> None:
    from SegAnyPETLib.report import write_picture

    largest = max(content.findings, key=lambda finding: np.count_nonzero(finding.mask))
    write_picture(
        path,
        content.study.image,
        content.segments,
        clicks=[click for finding in content.findings for click in finding.clicks],
        centre_lps_mm=next((click.lps_mm for click in largest.clicks if click.positive), None),
        caption=f"model {content.model}",
    )


# Longest endings first: a name that ends with .rtstruct.dcm or .nii.gz must not be taken for a shorter one.
_WRITERS: dict[str, Callable[[Path, _Content], None]] = {
    ".rtstruct.dcm": _write_rtstruct,
    ".seg.nrrd": _write_seg_nrrd,
    ".nii.gz": _write_nifti,
    ".nii": _write_nifti,
    ".dcm": _write_dicom_seg,
    ".csv": _write_csv,
    ".json": _write_json,
    ".png": _write_png,
}
_OF_A_SERIES = {".dcm": "DICOM SEG", ".rtstruct.dcm": "an RT Structure Set"}
ENDINGS = tuple(_WRITERS)
