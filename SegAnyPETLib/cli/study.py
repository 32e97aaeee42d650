"""The image a command works on, from DICOM, NIfTI or NRRD."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from SegAnyPETLib.errors import InputError

if TYPE_CHECKING:
    from SegAnyPETLib.data import PETSeries
    from SegAnyPETLib.suv import StatedValues, SUVKind, SUVVolume
    from SegAnyPETLib.suv.image_file import ImageUnits

VOLUME_ENDINGS = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")


@dataclass(frozen=True)
class Study:
    """A PET image in SUV and where it came from.

    Attributes:
        image: In SUV.
        series: The DICOM series it was read from; None for NIfTI and NRRD.
    """

    image: SUVVolume
    series: PETSeries | None


def read_study(
    path: Path | str,
    *,
    kind: SUVKind = "bw",
    units: ImageUnits | None = None,
    suv_factor: float | None = None,
    series_uid: str | None = None,
    stated: StatedValues | None = None,
) -> Study:
    """Read a PET series (folder or file), or a volume file.

    Args:
        path: What the user typed.
        kind: SUV normalizer.
        units: Of a volume file; SUV where None.
        suv_factor: SUV per Bq/ml, for a volume file in Bq/ml.
        series_uid: Which series, where a folder holds several.
        stated: Values to use instead of those of a DICOM header.

    Raises:
        InputError: There is nothing at `path`, or an option does not fit this kind of input.
        DICOMError: The series is damaged, contradictory or no PET.
        SUVError: No trustworthy SUV can be computed.
    """
    from SegAnyPETLib.data import read_pet_series
    from SegAnyPETLib.suv import compute_suv, read_suv_image

    path = Path(path)
    if not path.exists():
        msg = f"Expected a folder or file at {path}; found nothing there. Check the path."
        raise InputError(msg)
    if path.is_file() and path.name.lower().endswith(VOLUME_ENDINGS):
        if series_uid is not None or stated is not None:
            msg = f"Expected DICOM with --series or --state; found the volume file {path}. Leave these options out."
            raise InputError(msg)
        return Study(read_suv_image(path, kind=kind, units=units or "suv", suv_factor=suv_factor), None)
    if units is not None or suv_factor is not None:
        msg = "Expected --units and --suv-factor with a NIfTI or NRRD file only: DICOM states its own. Leave them out."
        raise InputError(msg)
    series = read_pet_series(path, series_instance_uid=series_uid)
    return Study(compute_suv(series, kind=kind, stated=stated), series)
