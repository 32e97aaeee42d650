"""The rule by which foci become candidates, as text and back.

suv:4.0                     every voxel of at least SUV 4.0
percent:41                  of each focus that reaches SUV 2.5: the voxels of at least 41 % of its own maximum,
                            but not below SUV 2.5
percent:41:3.0              the same with another floor
percist                     1.5 times the mean of the liver plus twice its standard deviation (PERCIST 1.0)
percist:liver=x,y,z         the same, the middle of the liver sphere given in LPS mm
percist:bloodpool           twice the mean of the descending aorta plus twice its standard deviation
percist:bloodpool=x,y,z     the same, the middle of the aorta's cylinder given in LPS mm
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from SegAnyPETLib.errors import InputError

Method = Literal["suv", "percent", "percist"]
Reference = Literal["liver", "bloodpool"]
Float3 = tuple[float, float, float]

DEFAULT_FLOOR_SUV = 2.5
HIGHEST_SUV = 100.0
FARTHEST_MM = 10_000.0
LONGEST_RULE = 200
GRAMMAR = (
    "suv:4.0, percent:41, percent:41:2.5, percist, percist:liver=x,y,z, percist:bloodpool or percist:bloodpool=x,y,z"
)


@dataclass(frozen=True)
class CandidateRule:
    """How foci are found; `str` gives the text that `parse_candidate_rule` reads.

    Attributes:
        method: A fixed SUV, a share of each focus's maximum, or PERCIST.
        suv: Threshold of ``suv``, in the run's SUV kind.
        percent: Share of ``percent``, of the maximum of each focus.
        floor_suv: SUV that a focus of ``percent`` must reach; `DEFAULT_FLOOR_SUV` where None.
        reference: Organ of ``percist``.
        place_lps_mm: Where that organ is; found automatically where None.

    Raises:
        InputError: A number is missing, not finite or beyond what makes sense.
    """

    method: Method
    suv: float | None = None
    percent: float | None = None
    floor_suv: float | None = None
    reference: Reference = "liver"
    place_lps_mm: Float3 | None = None

    def __post_init__(self) -> None:
        if self.method == "suv":
            _check_between(self.suv, 0.0, HIGHEST_SUV, name="the SUV threshold")
        elif self.method == "percent":
            _check_between(self.percent, 0.0, 100.0, name="the percentage of the maximum")
            _check_between(self.lowest_suv, 0.0, HIGHEST_SUV, name="the SUV floor")
        for value in self.place_lps_mm or ():
            _check_between(value, -FARTHEST_MM, FARTHEST_MM, name="a coordinate in mm")

    @property
    def lowest_suv(self) -> float:
        """The SUV that a focus of ``percent`` must reach."""
        return DEFAULT_FLOOR_SUV if self.floor_suv is None else self.floor_suv

    def __str__(self) -> str:
        if self.method == "suv":
            return f"suv:{self.suv!r}"
        if self.method == "percent":
            floor = "" if self.floor_suv is None else f":{self.floor_suv!r}"
            return f"percent:{_short(self.percent)}{floor}"
        if self.place_lps_mm is not None:
            return f"percist:{self.reference}={','.join(map(_short, self.place_lps_mm))}"
        return "percist" if self.reference == "liver" else "percist:bloodpool"


def parse_candidate_rule(text: str) -> CandidateRule:
    """Read a rule such as ``suv:4.0`` or ``percist:liver=-62,10,-35``; see this module for all forms.

    Raises:
        InputError: The text is none of these; the message names them.
    """
    words = text.strip().lower().split(":")
    if len(text) > LONGEST_RULE:
        raise _no_rule(text[:LONGEST_RULE])
    match words:
        case ["suv", suv]:
            return CandidateRule("suv", suv=_number(suv, text))
        case ["percent", percent]:
            return CandidateRule("percent", percent=_number(percent, text))
        case ["percent", percent, floor]:
            return CandidateRule("percent", percent=_number(percent, text), floor_suv=_number(floor, text))
        case ["percist"]:
            return CandidateRule("percist")
        case ["percist", where]:
            return _percist(where, text)
    raise _no_rule(text)


def _percist(where: str, text: str) -> CandidateRule:
    organ, has_place, place = where.partition("=")
    for reference in get_args(Reference):
        if organ == reference and not has_place:
            return CandidateRule("percist", reference=reference)
        if organ == reference:
            numbers = [_number(part, text) for part in place.split(",")]
            if len(numbers) == 3:
                return CandidateRule("percist", reference=reference, place_lps_mm=(numbers[0], numbers[1], numbers[2]))
    raise _no_rule(text)


def _number(word: str, text: str) -> float:
    try:
        return float(word)
    except ValueError as error:
        raise _no_rule(text) from error


def _no_rule(text: str) -> InputError:
    return InputError(f"Expected a rule for candidates such as {GRAMMAR}; found {text!r}.")


def _check_between(value: float | None, low: float, high: float, *, name: str) -> None:
    if value is None or not (math.isfinite(value) and low < value < high):
        msg = f"Expected {name} between {low:g} and {high:g}; found {value}. The rules are {GRAMMAR}."
        raise InputError(msg)


def _short(value: float | None) -> str:
    """Without the decimals that say nothing: 41, not 41.0."""
    number = float(value or 0.0)
    return str(int(number)) if number.is_integer() else repr(number)
