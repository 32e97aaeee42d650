"""Lesions as prompt files tell them, before they are checked against an image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from SegAnyPETLib.batch.lesion import LesionRequest
from SegAnyPETLib.data.segment import LONGEST_LABEL, Terminology
from SegAnyPETLib.errors import InputError
from SegAnyPETLib.session.prompt_clicks import check_prompt
from SegAnyPETLib.session.prompts import Box, Point, Prompt, SeedMask
from SegAnyPETLib.suv import SUVVolume

MOST_LESIONS = 1000  # of one study
MOST_PROMPTS = 200  # of one lesion


@dataclass(frozen=True, eq=False)
class GatheredLesion:
    """A lesion of a prompt file.

    Attributes:
        name: As the file has it; lesions of one name in one study are one.
        prompts: In the file's order.
        origin: What kind of file told it, never its name, which may be a patient's.
        terminology: What it is, where the file says so.
        order: Place among the parts of the lesion, which may come from several files; 0 where the file has none.
    """

    name: str
    prompts: tuple[Prompt, ...]
    origin: str
    terminology: Terminology | None = None
    order: int = 0


def joined(lesions: Iterable[GatheredLesion]) -> list[GatheredLesion]:
    """Lesions of one name as one, in the order in which names come first."""
    by_name: dict[str, list[GatheredLesion]] = {}
    for lesion in lesions:
        by_name.setdefault(lesion.name, []).append(lesion)
    return [_one(sorted(parts, key=lambda part: part.order)) for parts in by_name.values()]


def _one(parts: list[GatheredLesion]) -> GatheredLesion:
    prompts = tuple(prompt for part in parts for prompt in part.prompts)
    origin = "; ".join(dict.fromkeys(part.origin for part in parts))
    terminology = next((part.terminology for part in parts if part.terminology is not None), None)
    return replace(parts[0], prompts=prompts, origin=origin, terminology=terminology)


def as_requests(lesions: Iterable[GatheredLesion], image: SUVVolume) -> tuple[LesionRequest, ...]:
    """The lesions with prompts in the order of a session (seed, box, points), checked against the image.

    Raises:
        PromptError: A prompt does not fit the image.
        InputError: There are too many, or a lesion has nothing that says where it is.
    """
    together = joined(lesions)
    if len(together) > MOST_LESIONS:
        msg = f"Expected at most {MOST_LESIONS} lesions in a study; found {len(together)}. Split the prompts."
        raise InputError(msg)
    requests = []
    labels: set[str] = set()
    for number, lesion in enumerate(together, start=1):
        _check(lesion, number, image)
        prompts = tuple(sorted(lesion.prompts, key=_rank))  # stable: the order within each kind stays
        label = _label(lesion.name, number, labels)
        labels.add(label)
        requests.append(LesionRequest(label, prompts, lesion.origin, terminology=lesion.terminology))
    return tuple(requests)


def _check(lesion: GatheredLesion, number: int, image: SUVVolume) -> None:
    if len(lesion.prompts) > MOST_PROMPTS:
        msg = f"Expected at most {MOST_PROMPTS} prompts for one lesion; lesion {number} has {len(lesion.prompts)}."
        raise InputError(msg)
    if not any(not isinstance(prompt, Point) or prompt.positive for prompt in lesion.prompts):
        msg = f"Expected a positive click, a box or a mask for each lesion; lesion {number} has negative clicks only."
        raise InputError(msg)
    for prompt in lesion.prompts:
        check_prompt(prompt, image)


def _rank(prompt: Prompt) -> int:
    return 0 if isinstance(prompt, SeedMask) else 1 if isinstance(prompt, Box) else 2


def _label(name: str, number: int, taken: set[str]) -> str:
    """The name as a label: one printable line, at most 64 characters, unlike the others."""
    label = "".join(c if c.isprintable() else " " for c in name).strip()[:LONGEST_LABEL].strip() or f"Lesion {number}"
    if label in taken:
        ending = f" ({number})"
        label = label[: LONGEST_LABEL - len(ending)] + ending
    return label
