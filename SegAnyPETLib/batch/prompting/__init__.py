"""Prompts without a person: from a prompt file, from masks to refine, or from foci that a stated rule finds.

The names load on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from SegAnyPETLib.batch.prompting.candidate_rule import CandidateRule, parse_candidate_rule
    from SegAnyPETLib.batch.prompting.prompt_file import is_for_one_study
    from SegAnyPETLib.batch.prompting.requesting import request_lesions

_HOMES = {
    "CandidateRule": "candidate_rule",
    "is_for_one_study": "prompt_file",
    "parse_candidate_rule": "candidate_rule",
    "request_lesions": "requesting",
}

__all__ = ["CandidateRule", "is_for_one_study", "parse_candidate_rule", "request_lesions"]


def __getattr__(name: str) -> Any:  # a module attribute may be anything
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
