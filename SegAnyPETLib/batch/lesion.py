"""What is asked for in a study, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from SegAnyPETLib.batch.study import FoundStudy
    from SegAnyPETLib.data import PETSeries, Terminology
    from SegAnyPETLib.session.prompts import Prompt
    from SegAnyPETLib.suv import LesionMeasures, SUVVolume

Fact = str | float | int | bool | None


@dataclass(frozen=True, eq=False)
class LesionRequest:
    """One lesion to segment.

    Attributes:
        label: Its name, at most 64 characters, unique in its study.
        prompts: In the order of a session: seed, box, points.
        origin: Where they come from, for example ``prompts.csv`` or ``candidate, SUVbw >= 4 g/ml``.
        physiology: Why this is probably no lesion, for example ``urinary bladder: ...``; None where nothing says so.
        terminology: What it is, where the source says so.
        keep_apart: (K, J, I), voxels that belong to other foci that touch it and must stay out; None for none.
        facts: What the rule measured, with units in the names, for the table.
    """

    label: str
    prompts: tuple[Prompt, ...]
    origin: str
    physiology: str | None = None
    terminology: Terminology | None = None
    keep_apart: NDArray[np.bool_] | None = field(default=None, repr=False)
    facts: Mapping[str, Fact] = field(default_factory=dict)


@dataclass(frozen=True)
class StudyRequest:
    """Everything to segment in one study, and how it was decided.

    Attributes:
        lesions: In the order of the source, or for candidates the largest first; may be empty: nothing was found.
        rule: How the lesions were chosen, a sentence with numbers and units.
        facts: References and thresholds, with units in the names, for example ``liver_mean_suvbw_g_per_ml``.
        notes: What a reader of the result must know, for example that no liver was found.
    """

    lesions: tuple[LesionRequest, ...]
    rule: str
    facts: Mapping[str, Fact] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class StudyLesion:
    """One segmented lesion.

    Attributes:
        request: What was asked for.
        mask: (K, J, I), not empty, read-only.
        measures: Of the mask.
        score: The model's confidence, 0 to 1.
        volume_interval_ml: Where the true volume is expected; None where the model is not calibrated.
        tracking_uid: Follows the lesion through SEG and SR; the same whenever the study is run again.
        notices: What the session said while it was made.
        is_corrected: A person has changed it since.
    """

    request: LesionRequest
    mask: NDArray[np.bool_] = field(repr=False)
    measures: LesionMeasures
    score: float
    volume_interval_ml: tuple[float, float] | None
    tracking_uid: str
    notices: tuple[str, ...] = ()
    is_corrected: bool = False


@dataclass(frozen=True, eq=False)
class StudyResult:
    """One study, done.

    Attributes:
        study: As it was found.
        series: The PET series.
        image: In SUV.
        request: What was asked for.
        lesions: Those with a voxel, in the order of the request.
        not_found: Labels of the others and why, where the model found nothing.
        model: Its name, never a path.
        weights_sha256: Of the model's weights file.
        seconds: Time by step: reading, prompting, segmenting, measuring.
    """

    study: FoundStudy
    series: PETSeries
    image: SUVVolume
    request: StudyRequest
    lesions: tuple[StudyLesion, ...]
    not_found: Mapping[str, str]
    model: str
    weights_sha256: str
    seconds: Mapping[str, float] = field(default_factory=dict)
