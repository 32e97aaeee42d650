"""What is known about each model before its weights are read; this file loads no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

from SegAnyPETLib.errors import ModelError
from SegAnyPETLib.model.calibration import Calibration
from SegAnyPETLib.model.resources import resources_folder

TensorAxes = Literal["kji_lps", "ijk_ras"]
Normalization = Literal["zscore_positive", "log_suv"]
FirstMaskPrompt = Literal["zeros", "none"]
PointPolicy = Literal["accumulate", "newest", "reaching"]


@dataclass(frozen=True, slots=True)
class PreprocessingSpec:
    """How an image in SUV becomes the tensor a network expects, and how its prompts are given.

    Attributes:
        roi_shape: Voxels along the tensor's D, H, W axes.
        spacings_mm: Edge of the isotropic voxels; the start spacing first, then finer ones for refinement.
        tensor_axes: `kji_lps`: D, H, W run along world +z, +y, +x in LPS. `ijk_ras`: along +x, +y, +z in RAS.
        normalization: `zscore_positive`: mean and standard deviation of the voxels above zero, applied to all.
            `log_suv`: logarithm of SUV; it does not depend on the crop.
        mask_prompt_first: What stands for the previous mask at the first click: a mask of zeros, or nothing.
        points: Whether a prediction is given every point so far, only the newest one, or every point with its reach
            in voxels as a fourth coordinate (see `clicks.reach_of_click`).
        mask_stride: Tensor voxels per mask voxel along each axis.
        first_looks: How often a region without an earlier answer is decoded; from the second time on with the answer
            before as mask prompt.
    """

    roi_shape: tuple[int, int, int]
    spacings_mm: tuple[float, ...]
    tensor_axes: TensorAxes
    normalization: Normalization
    mask_prompt_first: FirstMaskPrompt
    points: PointPolicy
    mask_stride: int
    first_looks: int = 1

    def __post_init__(self) -> None:
        _require(len(self.roi_shape) == 3 and min(self.roi_shape) > 0, "roi_shape", "three positive sizes", self)
        _require(len(self.spacings_mm) > 0 and min(self.spacings_mm) > 0, "spacings_mm", "positive millimetres", self)
        _require(
            all(fine < coarse for coarse, fine in pairwise(self.spacings_mm)),
            "spacings_mm",
            "each finer than the one before",
            self,
        )
        _require(self.mask_stride > 0, "mask_stride", "a positive number of voxels", self)
        _require(self.first_looks > 0, "first_looks", "a positive number", self)
        choices = {
            "tensor_axes": TensorAxes,
            "normalization": Normalization,
            "mask_prompt_first": FirstMaskPrompt,
            "points": PointPolicy,
        }
        for name, choice in choices.items():
            _require(getattr(self, name) in get_args(choice), name, f"one of {get_args(choice)}", self)

    @property
    def mask_shape(self) -> tuple[int, int, int]:
        """Shape of the mask logits, (D, H, W)."""
        depth, height, width = (size // self.mask_stride for size in self.roi_shape)
        return depth, height, width

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> PreprocessingSpec:
        """Build from one object of the registry or of a checkpoint's metadata.

        Raises:
            ModelError: A field is missing, unknown or out of its range.
        """
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()
        }
        try:
            return cls(**fields)
        except TypeError as error:
            message = f"Expected the fields of PreprocessingSpec, found {sorted(entry)}: {error}"
            raise ModelError(message) from error


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file of a repository on the Hugging Face hub.

    Attributes:
        repository: For example `YichiZhang98/SegAnyPET`.
        filename: Path of the file inside the repository.
        revision: Branch, tag or commit.
    """

    repository: str
    filename: str
    revision: str = "main"


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model of the registry.

    Attributes:
        name: The name `load_model` takes.
        title: One line for people.
        architecture: The name `build_network` takes.
        preprocessing: What the network expects.
        licence: Licence of the weights, in words where its authors state none.
        training_data: What the weights have seen.
        bundled_file: Path below `Resources` when the weights ship with the library.
        hub_file: Where the weights can be downloaded from.
        sha256: Hash of the weights file where it is known.
        size_bytes: Size of the weights file where it is known.
        parameters: Number of weights, where it is known.
        measured: Figures measured with these weights, with their conditions; empty where nothing was measured.
        calibration: Corrections of probability, score and volume fitted for these very weights; None where none were.
        notes: Limits a user must know.
        references: Where the facts of this entry are written.
    """

    name: str
    title: str
    architecture: str
    preprocessing: PreprocessingSpec
    licence: str
    training_data: str
    bundled_file: str | None = None
    hub_file: HubFile | None = None
    sha256: str | None = None
    size_bytes: int | None = None
    parameters: int | None = None
    measured: Mapping[str, Any] = field(default_factory=dict, hash=False)  # any JSON the trainer chose to record
    calibration: Calibration | None = None
    notes: str = ""
    references: tuple[str, ...] = ()

    @property
    def size_text(self) -> str:
        """Size of the weights file in words, as far as it is known."""
        if self.size_bytes is not None:
            return f"{self.size_bytes / 1e6:.1f} MB"
        if self.parameters is not None:
            return f"not registered; {4 * self.parameters / 1e6:.0f} MB of weights, more if training states are kept"
        return "not registered"


def read_registry(path: Path) -> tuple[ModelSpec, ...]:
    """Every model described in a registry file, in its order.

    Raises:
        ModelError: The file cannot be read, or an entry lacks a field.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        preprocessing = {name: PreprocessingSpec.from_json(entry) for name, entry in document["architectures"].items()}
        return tuple(_read_entry(entry, preprocessing, folder=path.parent) for entry in document["models"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        message = (
            f"Expected a model registry in {path}, found {type(error).__name__}: {error}. Install seganypet again."
        )
        raise ModelError(message) from error


def registered_models() -> tuple[ModelSpec, ...]:
    """Every model this installation knows by name, whether or not its weights are here."""
    return _registry(resources_folder() / "models.json")


def model_spec(name: str) -> ModelSpec:
    """The registered model of that name.

    Raises:
        ModelError: No model has that name; the message lists those that exist.
    """
    for spec in registered_models():
        if spec.name == name:
            return spec
    known = ", ".join(spec.name for spec in registered_models())
    message = f"Expected the name of a registered model or the path of a weights file, found {name!r}. Known: {known}."
    raise ModelError(message)


def architecture_preprocessing(architecture: str) -> PreprocessingSpec:
    """The preprocessing of the first registered model of an architecture, for weights that are not registered.

    Raises:
        ModelError: No registered model has that architecture.
    """
    for spec in registered_models():
        if spec.architecture == architecture:
            return spec.preprocessing
    known = ", ".join(sorted({spec.architecture for spec in registered_models()}))
    message = f"Expected one of the architectures {known}, found {architecture!r}."
    raise ModelError(message)


@cache
def _registry(path: Path) -> tuple[ModelSpec, ...]:
    return read_registry(path)


def _read_entry(entry: Mapping[str, Any], preprocessing: Mapping[str, PreprocessingSpec], *, folder: Path) -> ModelSpec:
    fields = dict(entry)
    own = fields.pop("preprocessing", None)
    hub = fields.pop("hub_file", None)
    calibration = fields.pop("calibration_file", None)  # beside the registry, as `seganypet calibrate` writes it
    return ModelSpec(
        preprocessing=PreprocessingSpec.from_json(own) if own else preprocessing[fields["architecture"]],
        hub_file=HubFile(**hub) if hub else None,
        calibration=Calibration.from_json(_read_json(folder / calibration)) if calibration else None,
        measured=MappingProxyType(fields.pop("measured", {})),
        references=tuple(fields.pop("references", ())),
        **fields,
    )


def _read_json(path: Path) -> Any:  # whatever the file holds; the reader of its fields checks them
    return json.loads(path.read_text(encoding="utf-8"))


def _require(fits: bool, name: str, expected: str, spec: PreprocessingSpec) -> None:
    if not fits:
        message = f"Expected {name} to be {expected}, found {getattr(spec, name)!r}."
        raise ModelError(message)
