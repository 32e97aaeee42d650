"""One series for all tests of results."""

from __future__ import annotations

import pytest
from hand_made_studies import a_series


@pytest.fixture(scope="session")
def series(tmp_path_factory):
    return a_series(tmp_path_factory.mktemp("result_series"))
