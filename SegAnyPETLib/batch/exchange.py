"""One study handed from a process that has read it to an application that shows it, and back: arrays in a folder.

The folder belongs to the application, lies on this machine, and is gone as soon as it was read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from SegAnyPETLib.data.segment import LESION, Segment
from SegAnyPETLib.data.slicer_terminology import slicer_terminology_entry, terminology_of_entry
from SegAnyPETLib.errors import InputError
from SegAnyPETLib.geometry import Grid, VoxelBox
from SegAnyPETLib.session.packed_mask import PackedMask
from SegAnyPETLib.suv.volume import SUVVolume, check_kind

if TYPE_CHECKING:
    from SegAnyPETLib.suv import SUVKind

VOXELS, FACTS, MASKS = "voxels.npy", "image.json", "lesions.npz"


@dataclass(frozen=True)
class ExchangedLesion:
    """A lesion with a small mask.

    Attributes:
        label: Its name.
        mask: On the study's voxels.
        color_rgb: 0 to 1 each.
        terminology: As Slicer writes it, see `data.slicer_terminology`.
        tracking_uid: Follows the lesion; None for a new one.
    """

    label: str
    mask: PackedMask
    color_rgb: tuple[float, float, float]
    terminology: str
    tracking_uid: str | None = None

    @classmethod
    def of(cls, segment: Segment) -> ExchangedLesion:
        """The same with the mask made small."""
        entry = slicer_terminology_entry(segment.terminology)
        return cls(segment.label, PackedMask.of(segment.mask), segment.color_rgb, entry, segment.tracking_uid)

    def segment(self) -> Segment:
        """The same with the whole mask (K, J, I).

        Raises:
            OutputError: Label or colour cannot be those of a segment.
        """
        terms = terminology_of_entry(self.terminology) or LESION
        return Segment(self.label, self.mask.to_array(), self.color_rgb, terms, tracking_uid=self.tracking_uid)


def write_image(folder: Path, image: SUVVolume) -> None:
    """Leave an image in a folder for `read_image`."""
    facts = {"kind": image.kind, "ijk_to_lps": image.grid.ijk_to_lps.tolist()}
    (folder / FACTS).write_text(json.dumps(facts), encoding="utf-8")
    np.save(folder / VOXELS, image.array, allow_pickle=False)


def read_image(folder: Path) -> SUVVolume:
    """The image that `write_image` left.

    Raises:
        InputError: There is none.
    """
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        voxels = np.load(folder / VOXELS, allow_pickle=False)
        matrix = np.asarray(facts["ijk_to_lps"], dtype=np.float64)
        kind: SUVKind = facts["kind"]
        check_kind(kind)
        return SUVVolume(voxels, Grid.from_ijk_to_lps(matrix, shape_kji=voxels.shape), kind)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unreadable(folder) from error


def write_lesions(folder: Path, lesions: Iterable[ExchangedLesion]) -> None:
    """Leave lesions in a folder for `read_lesions`."""
    arrays: dict[str, np.ndarray] = {}
    facts = []
    for number, lesion in enumerate(lesions):
        arrays[f"mask{number}"] = np.frombuffer(lesion.mask.bits, dtype=np.uint8)
        facts.append(
            {
                "label": lesion.label,
                "color": lesion.color_rgb,
                "terminology": lesion.terminology,
                "tracking_uid": lesion.tracking_uid,
                "shape": lesion.mask.shape_kji,
                "box": [lesion.mask.box.start_kji, lesion.mask.box.stop_kji],
            }
        )
    arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8)
    with (folder / MASKS).open("wb") as stream:
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]  # numpy's stub takes any keyword for a flag


def read_lesions(folder: Path) -> Iterator[ExchangedLesion]:
    """The lesions that `write_lesions` left, in the same order.

    Raises:
        InputError: There are none.
    """
    try:
        with np.load(folder / MASKS, allow_pickle=False) as arrays:
            for number, facts in enumerate(json.loads(arrays["facts"].tobytes())):
                box = VoxelBox(*(_three(corner) for corner in facts["box"]))
                mask = PackedMask(_three(facts["shape"]), box, arrays[f"mask{number}"].tobytes())
                red, green, blue = (float(part) for part in facts["color"])
                uid = facts["tracking_uid"]
                yield ExchangedLesion(str(facts["label"]), mask, (red, green, blue), str(facts["terminology"]), uid)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unreadable(folder) from error


def _three(values: Iterable[object]) -> tuple[int, int, int]:
    k, j, i = (int(str(value)) for value in values)
    return k, j, i


def _unreadable(folder: Path) -> InputError:
    return InputError(f"Expected a study in {folder}, as it is handed on; it cannot be read. Open the study again.")
