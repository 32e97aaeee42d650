"""What to segment in one study: from its prompts, or from candidates where the run has none."""

from __future__ import annotations

from SegAnyPETLib.batch.lesion import StudyRequest
from SegAnyPETLib.batch.prompting.candidate_rule import parse_candidate_rule
from SegAnyPETLib.batch.prompting.candidates import request_candidates
from SegAnyPETLib.batch.prompting.prompt_file import read_study_prompts
from SegAnyPETLib.batch.settings import BatchSettings
from SegAnyPETLib.batch.study import FoundStudy
from SegAnyPETLib.suv import SUVVolume


def request_lesions(study: FoundStudy, image: SUVVolume, *, settings: BatchSettings) -> StudyRequest:
    """Decide what to segment in a study.

    Args:
        study: As it was found; its identifiers and folder names tell which prompts are its own.
        image: Its PET in SUV.
        settings: `prompts` says where prompts are; None takes candidates by the rule in `candidates`.

    Returns:
        The lesions, which may be none where candidates were looked for, with the rule in words.

    Raises:
        InputError: The prompts cannot be read, or hold none for this study; the candidate rule is not one.
        PromptError: A prompt does not fit the image.
        GeometryError: A mask does not fit the image.
        DICOMError: A DICOM SEG or RTSTRUCT is damaged.
    """
    if settings.prompts is not None:
        return read_study_prompts(settings.prompts, study, image)
    return request_candidates(image, parse_candidate_rule(settings.candidates))
