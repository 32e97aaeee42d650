"""What the checker has to say of a case."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
WHOLE_COHORT = ""  # instead of a case's name, which is never empty


@dataclass(frozen=True)
class Finding:
    """One thing a person should know before training on a case.

    Attributes:
        case: Its name, or `WHOLE_COHORT`.
        kind: A short name of what was found, for example ``shifted``.
        severity: ``error``: must not be used so; ``warning``: a person should look; ``note``: good to know.
        message: What was found, with numbers.
        advice: What to do.
    """

    case: str
    kind: str
    severity: Severity
    message: str
    advice: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.case or 'all cases'}: {self.message}. {self.advice}"

    def to_dict(self) -> dict[str, str]:
        """For JSON."""
        return asdict(self)


def rounded_ml(volume_ml: float) -> str:
    """A volume for people: three digits below 100 ml, none behind the point above."""
    return f"{volume_ml:.0f} ml" if volume_ml >= 100 else f"{volume_ml:.3g} ml"
