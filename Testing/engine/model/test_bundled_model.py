"""The weights that ship with the library are the registered ones, small enough, and load."""

from __future__ import annotations

import pytest

from SegAnyPETLib.model import InstalledModel, find_model, list_models, load_model, verify_model

BUNDLED = [installed.spec.name for installed in list_models() if installed.spec.bundled_file]
LARGEST_BYTES = 25_000_000


@pytest.fixture(params=BUNDLED)
def a_bundled_model(request: pytest.FixtureRequest) -> InstalledModel:
    return find_model(request.param)


def test_bundled_weights_are_the_registered_ones(a_bundled_model: InstalledModel) -> None:
    assert a_bundled_model.spec.sha256 is not None
    assert a_bundled_model.spec.size_bytes == a_bundled_model.path.stat().st_size <= LARGEST_BYTES
    verify_model(a_bundled_model.spec.name)


def test_bundled_weights_load_by_name(a_bundled_model: InstalledModel) -> None:
    model = load_model(a_bundled_model.spec.name, device="cpu")
    assert model.spec is a_bundled_model.spec
    assert model.weights_path == a_bundled_model.path


def test_bundled_weights_have_a_model_card_beside_them(a_bundled_model: InstalledModel) -> None:
    assert a_bundled_model.path.with_suffix(".md").is_file()
