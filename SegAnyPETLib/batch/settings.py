"""What a run is asked to do with every study."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from SegAnyPETLib.errors import InputError

if TYPE_CHECKING:
    from SegAnyPETLib.suv import SUVKind

Format = Literal["seg", "sr", "rtstruct", "seg.nrrd", "nifti", "png"]
FORMATS: tuple[Format, ...] = get_args(Format)
DEFAULT_FORMATS: tuple[Format, ...] = ("seg", "sr", "rtstruct", "nifti", "png")
DEFAULT_CANDIDATES = "suv:4.0"


@dataclass(frozen=True)
class BatchSettings:
    """One run's settings; a study done with the same ones need not be done again.

    Attributes:
        prompts: Path of a prompt file or of a folder of them, of masks to refine included; None for candidates.
        candidates: The rule that finds foci where there are no prompts, see `batch.prompting`.
        model: Registered name or weights file.
        device: auto, cpu, cuda, cuda:N or mps.
        engine: What runs the encoder, torch or openvino.
        precision: float32 or bfloat16.
        kind: SUV normalizer.
        formats: What is written for each study, beside `study.json`.
        is_deidentified: DICOM results follow the basic confidentiality profile, and tables hold no dates.
        shows_uids: Logs, table and journal may hold study UIDs; they hold keys otherwise.

    Raises:
        InputError: A format is unknown, or none is given.
    """

    prompts: str | None = None
    candidates: str = DEFAULT_CANDIDATES
    model: str = "lite"
    device: str = "auto"
    engine: str = "torch"
    precision: str = "float32"
    kind: SUVKind = "bw"
    formats: tuple[Format, ...] = DEFAULT_FORMATS
    is_deidentified: bool = False
    shows_uids: bool = False

    def __post_init__(self) -> None:
        unknown = [name for name in self.formats if name not in FORMATS]
        if unknown or not self.formats:
            msg = f"Expected formats among {', '.join(FORMATS)}; found {', '.join(unknown) or 'none'}."
            raise InputError(msg)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of everything a result depends on; device and logs are not among it."""
        facts = asdict(self)
        for name in ("device", "engine", "shows_uids"):
            del facts[name]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:  # JSON values
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> BatchSettings:  # JSON values
        """The settings that `to_dict` gave.

        Raises:
            InputError: A name is unknown.
        """
        unknown = set(facts) - set(cls.__dataclass_fields__)
        if unknown:
            msg = f"Expected the settings of a run; found also {', '.join(sorted(unknown))}. Is it of a newer version?"
            raise InputError(msg)
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in facts.items()}
        return cls(**values)
