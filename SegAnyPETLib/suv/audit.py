"""A record, kept while an SUV is computed, of every value that went in and every doubt that came up."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Audit:
    """Collects what `SUVProvenance` will show.

    Attributes:
        inputs: Name with unit -> value as used.
        warnings: What was corrected or tolerated.
        formula: The formula in words and symbols.
        reference_time_source: Where the time of the decay correction was taken from.
    """

    inputs: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    formula: str = ""
    reference_time_source: str = "not needed"

    def used(self, name: str, value: float | str, *, source: str) -> None:
        """Note a value that went in."""
        shown = value if isinstance(value, str) else f"{value:.10g}"
        self.inputs[name] = f"{shown} ({source})"

    def doubt(self, text: str) -> None:
        """Note something corrected or tolerated."""
        if text not in self.warnings:
            self.warnings.append(text)
