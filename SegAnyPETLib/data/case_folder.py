"""The layout of cases with a reference, which training and evaluation share, and the folds they are split into.

DATA/CASE/pet.nii.gz    PET, values in SUV
DATA/CASE/gtv.nii.gz    reference mask on the same grid; everything above 0.5 belongs to it
"""

from __future__ import annotations

import re

from SegAnyPETLib.errors import InputError

IMAGE_NAME = "pet.nii.gz"
REFERENCE_NAME = "gtv.nii.gz"


def case_number(name: str) -> int:
    """The last digits in a case's name, by which folds are made: training and evaluation must agree on them.

    Raises:
        InputError: The name holds no digit.
    """
    digits = re.search(r"(\d+)\D*$", name)
    if digits is None:
        msg = f"Expected a number in the name of case {name!r} to make folds from; found none. Use --cases instead."
        raise InputError(msg)
    return int(digits.group(1))
