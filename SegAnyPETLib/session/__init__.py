"""The interactive session: prompts in, masks out, with undo.

Public names: `InteractiveSession`, `Point`, `Box`, `SeedMask`, `Prediction`, `ClickHint`, and the protocols
`PETImage` and `SegmentationModel` for whoever brings an image or a model of their own.
"""

from SegAnyPETLib.session.click_hint import ClickHint
from SegAnyPETLib.session.prediction import Prediction
from SegAnyPETLib.session.prompts import Box, Point, Prompt, SeedMask
from SegAnyPETLib.session.protocols import PETImage, SegmentationModel
from SegAnyPETLib.session.session import InteractiveSession

__all__ = [
    "Box",
    "ClickHint",
    "InteractiveSession",
    "PETImage",
    "Point",
    "Prediction",
    "Prompt",
    "SeedMask",
    "SegmentationModel",
]
