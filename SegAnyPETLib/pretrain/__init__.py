"""Training of the bundled network: synthetic scenes, real cases, click simulation, loop.

Public names: `Scene`, `TrainingConfig`, `sample_scene`. The loop, `pretrain.train.train`, is imported by name because
it loads torch and MONAI.
"""

from SegAnyPETLib.pretrain.config import TrainingConfig
from SegAnyPETLib.pretrain.scene import Scene
from SegAnyPETLib.pretrain.synthetic import sample_scene

__all__ = ["Scene", "TrainingConfig", "sample_scene"]
