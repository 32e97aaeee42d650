"""What the benchmark works on: an image with one hot ball, and a model that needs no trained weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SegAnyPETLib.geometry import Grid, VoxelBox
from SegAnyPETLib.model import Model, ModelSpec, PreprocessingSpec, build_network, model_spec

BACKGROUND_SUV = 1.0
BALL_SUV = 8.0
BALL_RADIUS_MM = 18.0
WEIGHT_SD = 0.02


@dataclass(frozen=True)
class BenchmarkImage:
    """A volume in SUV, as a session takes it.

    Attributes:
        array: (K, J, I) float32.
        grid: Where its voxels lie.
    """

    array: NDArray[np.float32]
    grid: Grid

    @property
    def ball_centre_lps_mm(self) -> tuple[float, float, float]:
        """The middle of the image, where the ball is."""
        x, y, z = (float(value) for value in self.grid.kji_to_lps((np.asarray(self.grid.shape_kji) - 1) / 2))
        return x, y, z


def benchmark_image(shape_kji: tuple[int, int, int], spacing_mm: float) -> BenchmarkImage:
    """A uniform body with a ball of 18 mm radius in the middle; nothing but the array itself is held."""
    grid = Grid(shape_kji, (spacing_mm, spacing_mm, spacing_mm), (-100.0, -50.0, 700.0))
    array = np.full(shape_kji, BACKGROUND_SUV, dtype=np.float32)
    centre = (np.asarray(shape_kji) - 1) / 2.0
    reach = int(np.ceil(BALL_RADIUS_MM / spacing_mm)) + 1
    low, high = (np.floor(centre) - reach).astype(int), (np.ceil(centre) + reach + 1).astype(int)
    box = VoxelBox(tuple(low.tolist()), tuple(high.tolist())).intersection(grid.box)
    k, j, i = (
        ((np.arange(start, stop) - middle) * spacing_mm) ** 2
        for start, stop, middle in zip(box.start_kji, box.stop_kji, centre, strict=True)
    )
    is_ball = k[:, None, None] + j[None, :, None] + i[None, None, :] <= BALL_RADIUS_MM**2
    array[box.slices][is_ball] = BALL_SUV
    return BenchmarkImage(array, grid)


class UntrainedModel:
    """A network with weights drawn from a seed, whose answer is replaced by a ball around the newest positive point.

    Time and memory do not depend on the values of weights. What a session does next depends on the mask, and that of
    untrained weights would make it follow an object that is not there; hence the ball.
    """

    def __init__(self, name: str) -> None:
        import torch

        self.spec: ModelSpec = model_spec(name)
        self.network = build_network(self.spec.architecture)
        draw_weights(self.network)
        self._model = Model(self.network, spec=self.spec, device=torch.device("cpu"))

    def encode(self, volume: Any) -> Any:  # torch tensors, as in the session's protocol
        """The network's embedding."""
        return self._model.encode(volume)

    def decode(self, embedding: Any, *, points: Any = None, mask_logits: Any = None) -> tuple[Any, Any]:
        """The network's work, then the ball as logits, -6 to 6."""
        logits, quality = self._model.decode(embedding, points=points, mask_logits=mask_logits)
        return ball_logits(logits, points, preprocessing=self.spec.preprocessing), quality


def ball_logits(logits: Any, points: Any, *, preprocessing: PreprocessingSpec) -> Any:  # torch tensors
    """Logits shaped like `logits`: a ball around the newest positive point, or the newest point where none is."""
    import torch

    if points is None:
        return torch.full_like(logits, -6.0)
    coordinates, labels = points
    positive = torch.nonzero(labels[0] == 1)
    newest = coordinates[0, positive[-1, 0]] if len(positive) else coordinates[0, -1]
    stride = preprocessing.mask_stride
    centre = (newest + 0.5) / stride - 0.5
    voxel_mm = preprocessing.spacings_mm[0] * stride
    axes = [(torch.arange(size) - centre[axis]) * voxel_mm for axis, size in enumerate(logits.shape[2:])]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    distance_mm = torch.sqrt(z**2 + y**2 + x**2)
    return (BALL_RADIUS_MM - distance_mm).clamp(-6.0, 6.0).expand_as(logits).clone()


def draw_weights(network: Any) -> None:
    """Fill every parameter of a torch module from one seed, so that no path of the network is trivially zero."""
    import torch

    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0.0, WEIGHT_SD, generator=generator)
