"""What a model knew before and may have forgotten: the same comparison on bundled cases that nobody has to bring.

The body phantom gives eight lesions and six organs, and computed scenes give six targets of simple shapes and six in
synthetic bodies, always the same ones: their seeds are fixed here and lie apart from those of training. Twenty-six
cases are few; they show that much was lost, not that nothing was.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from SegAnyPETLib.evaluation import Case
from SegAnyPETLib.finetune.comparing import Comparison, JudgedCase, compare_models, cut_around
from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.phantom import Noise, body_phantom
from SegAnyPETLib.pretrain.bodies.anatomy import build_body
from SegAnyPETLib.pretrain.bodies.crops import sample_body_scene
from SegAnyPETLib.pretrain.scene import Scene
from SegAnyPETLib.pretrain.synthetic import sample_scene
from SegAnyPETLib.session.protocols import SegmentationModel
from SegAnyPETLib.suv import SUVVolume

# Organs that a promptable model finds before it is changed; the others would only add chance.
ORGANS = ("brain", "liver", "spleen", "left kidney", "right kidney", "bladder")
NOISE_SEED = 7
SCENE_SEEDS = (0, 1, 3, 5, 6, 7)  # their targets have 500 voxels or more, so that one voxel changes little
SCENE_STREAM = 77_001  # of the generators, so that no training that counts its steps from 0 draws the same
BODY_SEEDS = (501, 502)  # below a million: training has none of these bodies
BODY_SCENES = 6
BUNDLED_COUNT = 26  # of all cases, known without making them
SCENE_VOXELS = 64


@cache
def bundled_cases() -> tuple[JudgedCase, ...]:
    """The phantom's lesions and organs and the synthetic cases; each counts as a patient. Takes some seconds, once."""
    phantom = body_phantom(noise=Noise(NOISE_SEED))
    image = SUVVolume(phantom.activity_suv, phantom.grid)
    found = [
        JudgedCase(cut_around(Case(item.name, image, item.mask)), item.name, f"phantom {item.kind}s")
        for item in phantom.objects
        if item.kind == "lesion" or item.name in ORGANS
    ]
    found += [_scene_case(f"synthetic scene {seed}", _simple_scene(seed)) for seed in SCENE_SEEDS]
    bodies = [build_body(seed) for seed in BODY_SEEDS]
    for seed in range(BODY_SCENES):
        rng = np.random.default_rng([SCENE_STREAM, seed, 1])
        scene = sample_body_scene(rng, size=SCENE_VOXELS, bodies=bodies)
        found.append(_scene_case(f"synthetic body {seed}", scene))
    return tuple(found)


def one_case() -> JudgedCase:
    """One of the synthetic cases, made in a moment: for finding out how long judging takes."""
    return _scene_case(f"synthetic scene {SCENE_SEEDS[0]}", _simple_scene(SCENE_SEEDS[0]))


def compare_bundled(
    before: SegmentationModel, after: SegmentationModel, *, on_case: Callable[[int], None] | None = None
) -> Comparison:
    """Both models on the bundled cases.

    Args:
        before: The model to be replaced.
        after: The one that may replace it.
        on_case: Called after each case with the number done, of twice as many as there are cases.
    """
    return compare_models(before, after, bundled_cases(), on_case=on_case)


def _simple_scene(seed: int) -> Scene:
    return sample_scene(np.random.default_rng([SCENE_STREAM, seed]), size=SCENE_VOXELS)


def _scene_case(name: str, scene: Scene) -> JudgedCase:
    spacing = (scene.spacing_mm,) * 3
    grid = Grid(scene.suv.shape, spacing, (0.0, 0.0, 0.0))
    return JudgedCase(Case(name, SUVVolume(scene.suv, grid), scene.target), name, "synthetic")
