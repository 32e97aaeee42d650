"""The registry: what it promises about each model, and what happens when it is damaged."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from SegAnyPETLib.errors import ModelError, SetupError
from SegAnyPETLib.model import ModelSpec, PreprocessingSpec, model_spec, registered_models, resources
from SegAnyPETLib.model.resources import resources_folder
from SegAnyPETLib.model.spec import architecture_preprocessing, read_registry

A_PREPROCESSING = {
    "roi_shape": [64, 96, 128],
    "spacings_mm": [4.0, 2.0],
    "tensor_axes": "kji_lps",
    "normalization": "log_suv",
    "mask_prompt_first": "none",
    "points": "accumulate",
    "mask_stride": 4,
}


def test_reading_the_registry_loads_no_torch() -> None:
    program = "import sys; import SegAnyPETLib.model as m; m.registered_models(); print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"


def test_loading_a_model_brings_in_nothing_that_could_reach_the_hub() -> None:
    program = "import sys; import SegAnyPETLib.model.load; print({'huggingface_hub', 'httpx2'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"


@pytest.mark.parametrize("spec", registered_models(), ids=lambda spec: spec.name)
def test_every_model_states_licence_training_data_and_where_its_weights_come_from(spec: ModelSpec) -> None:
    assert spec.licence
    assert spec.training_data
    assert "Research only" in spec.notes
    assert (spec.bundled_file is None) != (spec.hub_file is None)
    assert spec.sha256 is None or len(spec.sha256) == 64
    assert spec.preprocessing == architecture_preprocessing(spec.architecture)


def test_the_published_models_are_prepared_as_their_training_was() -> None:
    published = model_spec("seganypet").preprocessing
    assert published.roi_shape == (128, 128, 128)
    assert published.spacings_mm == (1.5,)
    assert (published.tensor_axes, published.normalization) == ("ijk_ras", "zscore_positive")
    assert published.mask_prompt_first == "zeros"
    assert published.mask_shape == (32, 32, 32)


def test_an_unknown_name_or_architecture_is_refused_with_those_that_exist() -> None:
    with pytest.raises(ModelError, match=r"found 'unet'\. Known: lite, seganypet"):
        model_spec("unet")
    with pytest.raises(ModelError, match="lite, vit_b_ori, found 'unet'"):
        architecture_preprocessing("unet")


def test_a_spec_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        model_spec("lite").licence = "none"
    with pytest.raises(TypeError):
        model_spec("lite").measured["dice"] = 1.0


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"roi_shape": [64, 64]}, "roi_shape to be three positive sizes"),
        ({"roi_shape": [64, 0, 64]}, "roi_shape"),
        ({"spacings_mm": []}, "spacings_mm"),
        ({"spacings_mm": [2.0, 4.0]}, "each finer than the one before"),
        ({"tensor_axes": "kji_ras"}, "tensor_axes to be one of"),
        ({"normalization": "none"}, "normalization"),
        ({"mask_prompt_first": "ones"}, "mask_prompt_first"),
        ({"points": "all"}, "points"),
        ({"first_looks": 0}, "first_looks"),
        ({"mask_stride": 0}, "mask_stride"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_preprocessing_that_cannot_be_is_refused_by_field(change: dict[str, object], expected: str) -> None:
    assert PreprocessingSpec.from_json(A_PREPROCESSING).mask_shape == (16, 24, 32)
    with pytest.raises(ModelError, match=expected):
        PreprocessingSpec.from_json(A_PREPROCESSING | change)


def test_a_model_may_have_a_preprocessing_of_its_own(tmp_path: Path) -> None:
    entry = {"name": "a", "title": "A", "architecture": "lite", "licence": "MIT", "training_data": "none"}
    other = A_PREPROCESSING | {"points": "newest"}
    path = tmp_path / "models.json"
    path.write_text(
        json.dumps({"architectures": {"lite": A_PREPROCESSING}, "models": [entry, entry | {"preprocessing": other}]})
    )
    first, second = read_registry(path)
    assert (first.preprocessing.points, second.preprocessing.points) == ("accumulate", "newest")
    assert first.size_text == "not registered"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"models": []}', '{"architectures": {}, "models": [{"architecture": "lite"}]}']
)
def test_a_damaged_registry_is_an_error_that_names_the_file(text: str, tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    path.write_text(text)
    with pytest.raises(ModelError, match=r"models\.json"):
        read_registry(path)


@pytest.mark.parametrize("place", ["SegAnyPETLib/Resources", "Resources"], ids=["wheel", "checkout"])
def test_resources_are_found_inside_the_package_of_a_wheel_and_beside_that_of_a_checkout(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "__file__", str(tmp_path / "SegAnyPETLib" / "model" / "resources.py"))
    with pytest.raises(SetupError, match="Install seganypet again"):
        resources_folder()
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / place / "models.json").write_text("{}")
    assert resources_folder() == tmp_path / place
