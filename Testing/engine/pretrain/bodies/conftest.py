"""Two bodies, built once: each takes a few seconds."""

from __future__ import annotations

import pytest

from SegAnyPETLib.pretrain.bodies import Bodies, Body


@pytest.fixture(scope="session")
def two_bodies() -> list[Body]:
    return list(Bodies(3, 2))
