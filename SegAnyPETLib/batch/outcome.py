"""How one study ended, small enough to send from a worker to the driver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Ending = Literal["done", "failed", "dropped"]


@dataclass(frozen=True)
class StudyOutcome:
    """How one study ended; holds no identifier of the patient.

    Attributes:
        key: Of the study.
        ending: done, failed, or dropped because the run was asked to stop.
        reason: Why it failed, without identifiers unless the settings allow them.
        kind: Of the failure, see `JournalRow`.
        traceback: Of an unexpected failure, for the log of the run only.
        lesions: Segments in the result.
        seconds: Time it took.
        seconds_by_step: Reading, prompting, segmenting, measuring, writing.
        input_hash: SHA-256 over the files read.
        output_hashes: Relative file -> SHA-256.
        model: Name of the model.
        weights_sha256: Of its weights file.
        version: Of the program.
        worker: Who did it.
    """

    key: str
    ending: Ending
    reason: str = ""
    kind: str = ""
    traceback: str = ""
    lesions: int = 0
    seconds: float = 0.0
    seconds_by_step: Mapping[str, float] = field(default_factory=dict)
    input_hash: str = ""
    output_hashes: Mapping[str, str] = field(default_factory=dict)
    model: str = ""
    weights_sha256: str = ""
    version: str = ""
    worker: str = ""
