"""The session with the real networks: their shapes, axis orders and mask grids, with weights drawn at random."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from pet_phantoms import ellipsoid, hot, moved, oblique_grid

from SegAnyPETLib.model.image_encoder import EncoderConfig
from SegAnyPETLib.model.lite import LiteNetwork
from SegAnyPETLib.model.load import Model
from SegAnyPETLib.model.promptable_vit import PromptableViT
from SegAnyPETLib.model.spec import ModelSpec, architecture_preprocessing
from SegAnyPETLib.session import Box, InteractiveSession, Point, SeedMask, following

pytestmark = pytest.mark.filterwarnings("ignore::SegAnyPETLib.errors.SegAnyPETWarning")


def a_model(architecture, network, **changes):
    preprocessing = replace(architecture_preprocessing(architecture), **changes)
    spec = ModelSpec("random", "Random weights", architecture, preprocessing, "Apache-2.0", "nothing")
    return Model(network, spec=spec, device=torch.device("cpu"))


@pytest.fixture
def lite():
    torch.manual_seed(1)
    return a_model("lite", LiteNetwork(), roi_shape=(16, 16, 16))


@pytest.fixture
def vit():
    torch.manual_seed(1)
    return a_model("vit_b_ori", PromptableViT(EncoderConfig(depth=1, width=96, heads=2, global_blocks=())))


@pytest.mark.parametrize("architecture", ["lite", "vit"])
def test_a_real_network_answers_points_boxes_and_seeds_the_same_every_time(architecture, request, monkeypatch):
    monkeypatch.setattr(following, "MOST_FOLLOWING_REGIONS", 1)  # random weights leak everywhere
    model = request.getfixturevalue(architecture)
    grid = oblique_grid(shape_kji=(24, 30, 34))
    centre = tuple(grid.kji_to_lps((12, 15, 17)))
    image = hot(grid, ellipsoid(grid, centre, (12, 10, 11)))
    prompts = [
        Point(centre),
        Point(moved(centre, (9, -7, 5)), positive=False),
        Box(moved(centre, (-15, -14, -13)), moved(centre, (16, 17, 18))),
        SeedMask(ellipsoid(grid, centre, (9, 8, 7))),
    ]

    results = []
    for _ in range(2):
        session = InteractiveSession(model)
        session.set_image(image)
        for prompt in prompts:
            session.add(prompt)
        results.append(session.predict())

    np.testing.assert_array_equal(results[0].mask, results[1].mask)
    np.testing.assert_array_equal(results[0].probability, results[1].probability)
    assert results[0].mask.shape == grid.shape_kji
    assert 0.0 <= results[0].score <= 1.0


WHOLE_BODY = """
import resource, sys, warnings
import numpy as np, torch
from SegAnyPETLib.errors import SegAnyPETWarning
from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.model import build_network
from SegAnyPETLib.model.load import Model
from SegAnyPETLib.model.spec import ModelSpec, architecture_preprocessing
from SegAnyPETLib.session import InteractiveSession, Point, following
from types import SimpleNamespace

warnings.simplefilter("ignore", SegAnyPETWarning)
following.MOST_FOLLOWING_REGIONS = 2  # random weights leak everywhere
architecture = sys.argv[1]
spec = ModelSpec("random", "", architecture, architecture_preprocessing(architecture), "", "")
session = InteractiveSession(Model(build_network(architecture), spec=spec, device=torch.device("cpu")))
grid = Grid((400, 400, 400), (2.0, 2.0, 2.0), (-400.0, -400.0, -400.0))
array = np.random.default_rng(0).random(grid.shape_kji, dtype=np.float32) * 5
session.set_image(SimpleNamespace(array=array, grid=grid))
for n in range(4):
    session.add(Point((40.0 * n, 10.0, -30.0), positive=n != 2))
    prediction = session.predict()
prediction.mask.sum()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux only")
@pytest.mark.parametrize("architecture", ["lite", "vit_b_ori"])
def test_a_whole_body_session_stays_below_three_gigabytes(architecture):
    done = subprocess.run(
        [sys.executable, "-c", WHOLE_BODY, architecture], capture_output=True, text=True, check=True, env=os.environ
    )

    assert int(done.stdout) < 3000
