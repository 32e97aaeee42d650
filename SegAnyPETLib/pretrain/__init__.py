"""Training of the bundled network: synthetic scenes, real cases, click simulation, loop.

Public names: `Scene`, `TrainingConfig`, `sample_scene`. The loop, `pretrain.train.train`, is imported by name because
it loads torch and MONAI.
"""

from SegAnyPETLib.pretrain.config import TrainingConfig
from SegAnyPETLib.pretrain.synthetic import Scene, sample_scene

__all__ = ["Scene", "TrainingConfig", "sample_scene"]
