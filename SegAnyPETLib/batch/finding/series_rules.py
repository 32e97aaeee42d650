"""The rules by which the PET series of a study is chosen.

They are applied in the order of `RULES`; each takes the series that are left and gives those that stay. The rules
named `without_` and `_only` may leave none; those named `_before_` only prefer. Exactly one series must remain: where
there are more, a person chooses.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from SegAnyPETLib.batch.finding.gathering import SeriesFacts
from SegAnyPETLib.batch.study import hashed

Rule = Callable[[Sequence[SeriesFacts]], list[SeriesFacts]]

_CAPTURE_WORDS = (
    "SCREEN SAVE",
    "SCREENSHOT",
    "SCREEN CAPTURE",
    "CAPTURE",
    "FUSED",
    "FUSION",
    "MPR",
    "VOLUME RENDERING",
)
LONGER_BY = 1.5  # a scan from skull to thigh is three times as long as one of head and neck; two whole bodies are alike


@dataclass(frozen=True)
class Choice:
    """What the rules said.

    Attributes:
        series: The one chosen; None where none can be used or a person must choose.
        sentence: How.
        doubts: Why a person must choose.
        problems: Why there is nothing to choose.
    """

    series: SeriesFacts | None
    sentence: str
    doubts: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def without_projections(series: Sequence[SeriesFacts]) -> list[SeriesFacts]:
    """Maximum intensity projections are pictures, not volumes; a derived series described as MIP is one."""
    return [one for one in series if not (_is_derived(one) and "MIP" in one.first.description.upper().split())]


def without_captures(series: Sequence[SeriesFacts]) -> list[SeriesFacts]:
    """Captures of the screen, fused pictures, and images in colour or without a place in the patient are left aside."""
    return [one for one in series if not _is_capture(one)]


def stacks_only(series: Sequence[SeriesFacts]) -> list[SeriesFacts]:
    """At least two parallel slices, or one multi-frame object, make a volume; turning projections do not."""
    return [
        one for one in series if one.first.is_multiframe or (len(one.files) >= 2 and not one.has_several_orientations)
    ]


def static_only(series: Sequence[SeriesFacts]) -> list[SeriesFacts]:
    """Gated and dynamic series, with several images at one place, are left aside: SUV is defined for a static one."""
    return [one for one in series if one.first.is_static and not one.has_several_images_at_one_place]


def attenuation_corrected_only(series: Sequence[SeriesFacts]) -> list[SeriesFacts]:
    """Only images corrected for attenuation carry SUV; those that do not say are kept where none says yes."""
    corrected = [one for one in series if one.first.is_attenuation_corrected]
    return corrected or [one for one in series if one.first.is_attenuation_corrected is None]


def original_before_derived(series: Sequence[SeriesFacts]) -> list[SeriesFacts]:
    """What the scanner reconstructed goes before what was derived from it later."""
    return [one for one in series if not _is_derived(one)] or list(series)


def whole_body_before_part(series: Sequence[SeriesFacts]) -> list[SeriesFacts]:
    """A series at least 1.5 times as long as every other goes before them; shorter ones show a part of the body."""
    lengths = [one.extent_mm for one in series]
    for one, length in zip(series, lengths, strict=True):
        others = [other for candidate, other in zip(series, lengths, strict=True) if candidate is not one]
        if length is not None and all(other is not None and length >= LONGER_BY * other for other in others):
            return [one]
    return list(series)


RULES: tuple[tuple[Rule, str], ...] = (
    (without_projections, "projection(s)"),
    (without_captures, "derived capture(s)"),
    (stacks_only, "that are no stack of slices"),
    (static_only, "gated, dynamic or with doubled slices"),
    (attenuation_corrected_only, "not attenuation corrected"),
    (original_before_derived, "derived from another"),
    (whole_body_before_part, "of a part of the body"),
)


def choose_pet(series: Sequence[SeriesFacts], *, aside: Mapping[str, int], chosen: Collection[str] = ()) -> Choice:
    """Apply the rules.

    Args:
        series: The PET series of one study.
        aside: Other images of the study by reason, for the message where there is no series.
        chosen: Series that a person chose, by UID or by the sixteen digits shown in a doubt; they need no rule.
    """
    by_person = [one for one in series if _names(one) & set(chosen)]
    if len(by_person) == 1:
        return Choice(by_person[0], "PET series chosen by a person.")
    if not series:
        found = ", ".join(f"{count} {reason}" for reason, count in aside.items()) or "nothing else"
        return Choice(None, "No PET series.", problems=(f"There is no PET series; found {found}.",))
    left, dropped = list(series), []
    for rule, words in RULES:
        kept = rule(left)
        if len(kept) < len(left):
            dropped.append(f"{len(left) - len(kept)} {words}")
        if not kept:
            return Choice(None, "No PET series can be used.", problems=(_nothing_left(dropped, left),))
        left = kept
    if len(left) > 1 or by_person:
        return _doubt(by_person or left)
    return _only(left[0], count=len(series), dropped=dropped)


def described(one: SeriesFacts) -> str:
    """A series in words by which a person recognizes it, headed by digits that stand for its UID."""
    first = one.first
    length = f", {one.extent_mm:.0f} mm" if one.extent_mm is not None else ""
    kind = "multi-frame object" if first.is_multiframe else f"{len(one.files)} slices{length}"
    clock = (first.series_time or "").replace(":", "")[:4]
    at = f", at {clock[:2]}:{clock[2:]}" if len(clock) == 4 else ""
    name = hashed(first.series_instance_uid)
    return f"{name}: {first.description or '(no description)'}, {kind}, {first.units or 'units unknown'}{at}"


def _only(one: SeriesFacts, *, count: int, dropped: list[str]) -> Choice:
    aside = f"; left aside {', '.join(dropped)}" if dropped else ""
    sentence = "The only PET series." if count == 1 else f"The only PET series that follows the rules{aside}."
    if one.first.is_attenuation_corrected is None:
        doubt = (
            f"The header does not say whether attenuation was corrected, which SUV needs. Check it, and choose the "
            f"series if it was: {described(one)}"
        )
        return Choice(None, sentence, doubts=(doubt,))
    return Choice(one, sentence)


def _doubt(left: Sequence[SeriesFacts]) -> Choice:
    listed = "; ".join(described(one) for one in left)
    doubt = f"{len(left)} PET series could be meant; choose one. {listed}"
    return Choice(None, "Several PET series follow the rules.", doubts=(doubt,))


def _nothing_left(dropped: list[str], last: Sequence[SeriesFacts]) -> str:
    return (
        f"There is no PET series that can be segmented: {', '.join(dropped)}. Expected an attenuation corrected, "
        f"static stack of slices; the last one refused: {described(last[0])}. Export that series."
    )


def _names(one: SeriesFacts) -> set[str]:
    uid = one.first.series_instance_uid
    return {uid, hashed(uid)}


def _is_derived(one: SeriesFacts) -> bool:
    return one.first.image_type[:1] == ("DERIVED",)


def _is_capture(one: SeriesFacts) -> bool:
    first = one.first
    has_place = first.is_multiframe or (first.position_lps_mm is not None and first.axes is not None)
    says_so = any(word in value for value in first.image_type for word in _CAPTURE_WORDS)
    return first.is_colour or not has_place or says_so
