"""Training crops from a cohort, and from made-up bodies so that the model does not forget what it knew.

Crops are of the kind a network is given in a session (see `crop_kind`), sampled by the session's own resampling. Around
one lesion a crop is drawn with random orientation and placement, for some networks random voxel size, another scanner's
calibration, sharpness and noise, and a random end of the image. Lesions are drawn evenly over the sizes, then over the
patients: large tumours, and patients with many lesions, would else be all that is learnt.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.errors import InputError
from SegAnyPETLib.finetune.cohort.cases import CohortCase, CohortLesion
from SegAnyPETLib.finetune.cohort.crop_kind import CropKind
from SegAnyPETLib.finetune.cohort.splits import size_bin
from SegAnyPETLib.finetune.crops import SYNTHETIC_CASE, LabelledCrop
from SegAnyPETLib.geometry import Grid, VoxelBox
from SegAnyPETLib.preprocess.resample import average_groups, resample_linear
from SegAnyPETLib.pretrain.bodies.anatomy import Body
from SegAnyPETLib.pretrain.bodies.crops import Bodies, sample_body_scene
from SegAnyPETLib.pretrain.config import CROP_MULTIPLE, SMALLEST_CROP
from SegAnyPETLib.pretrain.real_cases import change_appearance, draw_cut_faces, random_turn
from SegAnyPETLib.pretrain.scene import Scene
from SegAnyPETLib.pretrain.synthetic import sample_scene

FEWEST_VOXELS = 8  # of the lesion in a crop
SMALLEST_ML = 0.1  # lesions below it are no targets: at 2 mm they have a dozen voxels
JITTER_MM = 6.0  # standard deviation of a crop's middle, beside that it may lie on any voxel of the lesion
OFF_CENTRE_SHARE = 0.6  # of the crops around any voxel of the lesion, the others around its middle
SCANNER_MM = (2.5, 5.0)  # voxels of the scans that finer replayed crops are resampled from
FINE_SHARE = 0.15  # of the crops at the finer voxels of a network that has two sizes, such as 2 mm instead of 4 mm
FINE_SHARE_OF_SMALL = 0.4  # the same for lesions below 5 ml, which the session looks at more finely
BODY_SHARE = 0.6  # of the replayed crops that are from whole bodies, the others are shapes; as the base was trained
TRIES_AT_ANY_SIZE = 4  # then only at the finer voxels
MOST_TRIES = 50


@dataclass(frozen=True, eq=False)
class _Target:
    number: int
    case: CohortCase
    lesion: CohortLesion


class CohortCrops:
    """Draws crops for `finetune.loop.train`; equal generators give equal crops.

    Args:
        cases: Open cases of the training split, kept as they are. Their place here is `LabelledCrop.case`.
        replay_share: Of the careful crops that come from made-up bodies and shapes with exact labels, 0 to 1; on
            average exactly, in each call rounded up or down. Methods 5.2 asks for half of a batch or more.
        kind: Of the crops; those of a model come from `CropKind.of`.
        bodies: For replay; by default eight, each built when first asked for (seconds and 19 MB each).
        is_augmented: False leaves orientation (the world's axes), uptake, sharpness and noise as they are, for looking
            at crops.

    Raises:
        InputError: A case is not of the training split, no careful case has a lesion that is large enough (and not
            all careful crops are replayed), or the share or size is not allowed.
    """

    def __init__(
        self,
        cases: Sequence[CohortCase],
        *,
        replay_share: float = 0.5,
        kind: CropKind | None = None,
        bodies: Sequence[Body] | None = None,
        is_augmented: bool = True,
    ) -> None:
        self._kind = CropKind() if kind is None else kind
        _check(cases, replay_share, self._kind.voxels)
        self.replay_share = replay_share
        self._bodies = Bodies(0, 8) if bodies is None else bodies
        self._is_augmented = is_augmented
        self._careful = _by_size([target for target in _targets(cases) if target.case.quality == "HQ"])
        careless = [target for target in _targets(cases) if target.case.quality == "LQ"]
        self._careless, self._careless_by_case = _by_size(careless), _by_case(careless)
        if not self._careful and replay_share < 1:
            msg = (
                f"Expected careful (HQ) training cases with a lesion of at least {SMALLEST_ML} ml; found none among "
                f"{len(cases)}. Mark some labels as HQ in the manifest, or draw some with care."
            )
            raise InputError(msg)

    @property
    def careless_cases(self) -> tuple[int, ...]:
        """Numbers of the cases `careless` draws from; empty where it can draw nothing."""
        return tuple(sorted(self._careless_by_case))

    def careful(self, rng: np.random.Generator, count: int) -> list[LabelledCrop]:
        """So many crops of carefully labelled cases, the replayed ones last."""
        replayed = min(count, int(self.replay_share * count + rng.random()))
        crops = [self._draw(rng, _chosen(rng, self._careful)) for _ in range(count - replayed)]
        return crops + [self._replayed(rng) for _ in range(replayed)]

    def careless(self, rng: np.random.Generator, count: int) -> list[LabelledCrop]:
        """So many crops of carelessly labelled cases.

        Raises:
            InputError: There is no such case.
        """
        if count and not self._careless:
            msg = "Expected carelessly labelled (LQ) training cases; the cohort has none. Use the method hq."
            raise InputError(msg)
        return [self._draw(rng, _chosen(rng, self._careless)) for _ in range(count)]

    def careless_of(self, rng: np.random.Generator, number: int) -> LabelledCrop:
        """A crop of one of `careless_cases`, around any of its lesions."""
        own = self._careless_by_case[number]
        return self._draw(rng, own[int(rng.integers(len(own)))])

    def _replayed(self, rng: np.random.Generator) -> LabelledCrop:
        kind = self._kind
        while True:
            scene = self._sample_scene(rng, kind.voxels) if not kind.is_finer_than_scenes else self._sample_scan(rng)
            label = scene.target
            if label.sum() >= FEWEST_VOXELS:
                return LabelledCrop(scene.suv, label, scene.spacing_mm, SYNTHETIC_CASE, kind.normalization)

    def _sample_scene(self, rng: np.random.Generator, size: int, spacing_mm: float | None = None) -> Scene:
        if rng.random() < BODY_SHARE:
            turned = self._kind.is_turned
            return sample_body_scene(rng, size=size, bodies=self._bodies, spacing_mm=spacing_mm, is_turned=turned)
        return sample_scene(rng, size=size, spacing_mm=spacing_mm)

    def _sample_scan(self, rng: np.random.Generator) -> Scene:
        """A scan with a scanner's voxels, brought to the network's: noise and borders are then those of a session."""
        voxels, spacing_mm, scan_mm = self._kind.voxels, self._kind.spacings_mm[0], float(rng.uniform(*SCANNER_MM))
        scan = self._sample_scene(rng, int(np.ceil(voxels * spacing_mm / scan_mm)) + 2, scan_mm)
        source, wanted = _centred_cube(len(scan.suv), scan_mm), _centred_cube(voxels, spacing_mm)
        suv, fraction = (resample_linear(values, source, wanted, outside=0.0) for values in (scan.suv, scan.fraction))
        return Scene(suv, fraction, spacing_mm)

    def _draw(self, rng: np.random.Generator, target: _Target) -> LabelledCrop:
        # The lesion stays while its crop is drawn again, or small ones would come less often than they should.
        for n in range(MOST_TRIES):
            spacing_mm = _draw_spacing(rng, self._kind, target.lesion.volume_ml, is_fine=n >= TRIES_AT_ANY_SIZE)
            crop = self._cut(rng, target, spacing_mm)
            if int(crop.label.sum()) >= FEWEST_VOXELS:
                return crop
        volume = f"{target.lesion.volume_ml:.2f} ml"
        msg = f"Case {target.case.name}: in {MOST_TRIES} crops a lesion of {volume} was never seen. Check its label."
        raise InputError(msg)

    def _cut(self, rng: np.random.Generator, target: _Target, spacing_mm: float) -> LabelledCrop:
        voxels = self._kind.voxels
        window = _window(rng, target, reach_mm=spacing_mm * voxels * np.sqrt(3) / 2)
        suv, share, grid = _averaged(window, spacing_mm)
        turn = random_turn(rng, is_permuted=self._kind.is_turned) if self._is_augmented else np.eye(3)
        seen = _centred_cube(voxels, spacing_mm, centre_lps_mm=window.centre_lps_mm, turn_kji=turn)
        crop, fraction = (resample_linear(values, grid, seen, outside=0.0) for values in (suv, share))
        if self._is_augmented:
            crop = change_appearance(rng, crop, spacing_mm)
        return LabelledCrop(crop, fraction >= np.float32(0.5), spacing_mm, target.number, self._kind.normalization)


@dataclass(frozen=True, eq=False)
class _Window:
    """The neighbourhood of a lesion: SUV with cut faces at 0, the lesion, their grid, and the crop's middle."""

    suv: NDArray[np.float32]
    mask: NDArray[np.bool_]
    grid: Grid
    centre_lps_mm: NDArray[np.float64]


_Targets = list[list[list[_Target]]]  # by size, then by patient


def _check(cases: Sequence[CohortCase], replay_share: float, voxels: int) -> None:
    if not 0 <= replay_share <= 1 or voxels < SMALLEST_CROP or voxels % CROP_MULTIPLE:
        msg = (
            f"Expected a replay share of 0 to 1 and crops of a multiple of {CROP_MULTIPLE}, at least {SMALLEST_CROP} "
            f"voxels; found {replay_share} and {voxels}."
        )
        raise InputError(msg)
    kept = [case.name for case in cases if case.split != "train"]
    if kept:
        msg = f"Expected cases of the training split; found {', '.join(kept[:5])} of another. Never train on these."
        raise InputError(msg)


def _targets(cases: Sequence[CohortCase]) -> list[_Target]:
    return [
        _Target(number, case, lesion)
        for number, case in enumerate(cases)
        for lesion in case.lesions
        if lesion.volume_ml >= SMALLEST_ML
    ]


def _by_size(targets: Sequence[_Target]) -> _Targets:
    sizes: dict[int, dict[str, list[_Target]]] = defaultdict(lambda: defaultdict(list))
    for target in targets:
        sizes[size_bin(target.lesion.volume_ml)][target.case.patient].append(target)
    return [[own for _, own in sorted(patients.items())] for _, patients in sorted(sizes.items())]


def _by_case(targets: Sequence[_Target]) -> dict[int, list[_Target]]:
    cases: dict[int, list[_Target]] = defaultdict(list)
    for target in targets:
        cases[target.number].append(target)
    return dict(cases)


def _chosen(rng: np.random.Generator, targets: _Targets) -> _Target:
    patients = targets[int(rng.integers(len(targets)))]
    own = patients[int(rng.integers(len(patients)))]
    return own[int(rng.integers(len(own)))]


def _draw_spacing(rng: np.random.Generator, kind: CropKind, volume_ml: float, *, is_fine: bool) -> float:
    """Mostly the voxels a session begins with, else, and where `is_fine`, its finest; larger by the kind's zoom."""
    spacing_mm = kind.spacings_mm[0]
    if len(kind.spacings_mm) > 1:
        share = FINE_SHARE_OF_SMALL if size_bin(volume_ml) < 2 else FINE_SHARE
        spacing_mm = kind.spacings_mm[-1] if rng.random() < share or is_fine else spacing_mm
    return spacing_mm * (float(np.exp(rng.uniform(*kind.zoom))) if any(kind.zoom) else 1.0)


def _centred_cube(
    voxels: int,
    spacing_mm: float,
    *,
    centre_lps_mm: Sequence[float] | NDArray[np.float64] = (0.0, 0.0, 0.0),
    turn_kji: NDArray[np.float64] | None = None,
) -> Grid:
    """A cubic grid around a place: k, j, i along +z, +y, +x in LPS, turned by a matrix (3, 3) for k, j, i."""
    direction = np.eye(3) if turn_kji is None else turn_kji[::-1, ::-1]
    origin = np.asarray(centre_lps_mm) - direction @ np.full(3, (voxels - 1) / 2 * spacing_mm)
    rows = tuple((float(x), float(y), float(z)) for x, y, z in direction)
    return Grid((voxels,) * 3, (spacing_mm,) * 3, tuple(origin), rows)


def _window(rng: np.random.Generator, target: _Target, *, reach_mm: float) -> _Window:
    """Cut out what a crop can see before anything is resampled, so that a whole body costs no more than a part."""
    case, lesion = target.case, target.lesion
    spacing = np.asarray(case.grid.spacing_kji_mm)
    inside = np.argwhere(lesion.mask) + lesion.box.start_kji
    at = inside[rng.integers(len(inside))] if rng.random() < OFF_CENTRE_SHARE else inside.mean(axis=0)
    centre = at + rng.normal(0, JITTER_MM, 3) / spacing
    kept = draw_cut_faces(rng, lesion.box, case.grid.shape_kji, spacing_kji_mm=case.grid.spacing_kji_mm)
    start = np.floor(centre - reach_mm / spacing).astype(int) - 2
    stop = np.ceil(centre + reach_mm / spacing).astype(int) + 3
    seen = VoxelBox((start[0], start[1], start[2]), (stop[0], stop[1], stop[2])).intersection(case.grid.box)
    suv, mask = np.zeros(seen.shape_kji, dtype=np.float32), np.zeros(seen.shape_kji, dtype=bool)
    for whole, source, own in ((suv, case.suv, kept), (mask, None, lesion.box)):
        part = seen.intersection(own)
        if part.is_empty:
            continue
        place = part.shifted([-n for n in seen.start_kji]).slices
        values = (
            lesion.mask[part.shifted([-n for n in own.start_kji]).slices] if source is None else source[part.slices]
        )
        whole[place] = np.maximum(values, 0)
    return _Window(suv, mask, case.grid.crop(seen), case.grid.kji_to_lps(centre))


def _averaged(window: _Window, spacing_mm: float) -> tuple[NDArray[np.float32], NDArray[np.float32], Grid]:
    """Image, share of the lesion in each voxel, and grid: groups of voxels averaged where they are much finer.

    As the session does before it samples (see `preprocess.resample_to_region`).
    """
    per_k, per_j, per_i = (max(1, int(spacing_mm / size + 1e-6)) for size in window.grid.spacing_kji_mm)
    share = window.mask.astype(np.float32)
    if max(per_k, per_j, per_i) < 2:
        return window.suv, share, window.grid
    factors = (per_k, per_j, per_i)
    suv, grid = average_groups(window.suv, window.grid, window.grid.box, factors)
    share, _ = average_groups(share, window.grid, window.grid.box, factors)
    return suv, share, grid
