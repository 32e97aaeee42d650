"""What crops a network learns from: those it is given in a session, varied as it was trained at first."""

from __future__ import annotations

from dataclasses import dataclass

from SegAnyPETLib.model.spec import ModelSpec, Normalization
from SegAnyPETLib.pretrain.config import SMALLEST_CROP

LITE_ZOOM = (-0.15, 0.25)  # as `lite` was trained, see pretrain/real_cases.py
FINEST_SCENE_MM = 2.0  # voxels of made-up scenes, which are those of scanners; finer crops are resampled from them


@dataclass(frozen=True)
class CropKind:
    """Size, voxels and intensities of crops.

    Attributes:
        voxels: Along each side.
        spacings_mm: Edge of the voxels, the one a session begins with first.
        normalization: Of the intensities, as a session does it, see `preprocess.normalize`.
        zoom: Voxels are larger by a factor whose natural logarithm is drawn between these two.
        is_turned: Axes change places at random. A network that was trained on bodies as they lie has them flipped and
            tilted only.
    """

    voxels: int = SMALLEST_CROP
    spacings_mm: tuple[float, ...] = (4.0, 2.0)
    normalization: Normalization = "log_suv"
    zoom: tuple[float, float] = LITE_ZOOM
    is_turned: bool = True

    @classmethod
    def of(cls, spec: ModelSpec) -> CropKind:
        """The crops of a model.

        `lite` was trained on crops of any orientation and of more or less its two voxel sizes. SegAnyPET and SAM-Med3D
        saw flips alone, and voxels of exactly 1.5 mm (Wang et al. 2023, arXiv:2310.15161).
        """
        wanted = spec.preprocessing
        is_ours = spec.architecture == "lite"
        return cls(
            voxels=wanted.roi_shape[0],
            spacings_mm=wanted.spacings_mm,
            normalization=wanted.normalization,
            zoom=LITE_ZOOM if is_ours else (0.0, 0.0),
            is_turned=is_ours,
        )

    @property
    def is_finer_than_scenes(self) -> bool:
        """True where made-up scenes are to be resampled, as a session resamples a scanner's image."""
        return self.spacings_mm[0] < FINEST_SCENE_MM
