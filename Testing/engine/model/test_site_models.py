"""Fine-tuned models in the store: written, read back, moved to another store, chosen, removed; and files that lie."""

import json
import shutil
import struct
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from site_model_maker import CARD, CHANGED, about, brighter

from SegAnyPETLib.errors import ModelError, OutputError, WeightsError
from SegAnyPETLib.model import (
    default_model,
    export_model,
    find_model,
    import_model,
    list_models,
    load_model,
    remove_model,
    set_default_model,
    verify_model,
)
from SegAnyPETLib.model.site_file import base_facts, read_site_file, write_site_file
from SegAnyPETLib.model.site_models import read_card


@pytest.fixture(scope="module")
def lite_state():
    return load_model("lite", device="cpu").network.state_dict()


@pytest.fixture(scope="module")
def a_written_file(tmp_path_factory, lite_state):
    path = tmp_path_factory.mktemp("written") / "brighter.safetensors"
    write_site_file(path, brighter(lite_state), about(), card=CARD)
    return path


@pytest.fixture
def a_file(tmp_path, a_written_file):
    """A site model whose logits are those of lite plus 1."""
    return shutil.copy(a_written_file, tmp_path / "brighter.safetensors")


def logits(model):
    rng = np.random.default_rng(5)
    volume = np.log1p(rng.uniform(0, 4, (1, 1, 64, 64, 64))).astype(np.float32)
    points = np.array([[[30.0, 31.0, 33.0, 0.0]]]), np.array([[1.0]])
    return model.decode(model.encode(volume), points=points)[0]


def test_a_site_model_answers_as_it_was_trained_and_keeps_only_what_changed(a_file, tmp_path):
    assert set(load_file(a_file)) == {CHANGED}
    import_model(a_file, folder=tmp_path / "store")
    changed = load_model("brighter", device="cpu", models_folder=tmp_path / "store")
    torch.testing.assert_close(logits(changed), logits(load_model("lite", device="cpu")) + 1.0)
    assert changed.spec.calibration is None
    assert changed.spec.preprocessing == find_model("lite").spec.preprocessing


def test_it_is_listed_verified_exported_and_imported_into_another_store(a_file, tmp_path):
    first, second, moved = tmp_path / "first", tmp_path / "second", tmp_path / "moved.safetensors"
    import_model(a_file, folder=first)
    assert verify_model("brighter", folder=first).origin == "site"
    assert [one.spec.name for one in list_models(folder=first) if one.origin == "site"] == ["brighter"]
    export_model("brighter", moved, folder=first)
    import_model(moved, name="from-elsewhere", folder=second)
    assert read_card("from-elsewhere", folder=second) == CARD
    assert load_model("from-elsewhere", device="cpu", models_folder=second).spec.name == "from-elsewhere"
    with pytest.raises(OutputError, match="new file name"):
        export_model("brighter", moved, folder=first)


def test_a_file_by_its_path_and_one_with_all_weights_load_too(a_file, tmp_path, lite_state):
    torch.testing.assert_close(logits(load_model(a_file, device="cpu")), logits(load_model("lite", device="cpu")) + 1.0)
    whole = tmp_path / "whole.safetensors"
    write_site_file(whole, lite_state, about(base="", base_sha256="", holds="all"), card=CARD)
    torch.testing.assert_close(logits(load_model(whole, device="cpu")), logits(load_model("lite", device="cpu")))


def test_changes_of_a_site_model_are_kept_against_the_registered_one(a_file, tmp_path):
    import_model(a_file, folder=tmp_path)
    assert base_facts("brighter", folder=tmp_path) == base_facts("lite")


def test_the_default_is_chosen_and_falls_back_when_it_is_removed(a_file, tmp_path):
    store = tmp_path / "store"
    assert default_model(folder=store) == "lite"
    import_model(a_file, folder=store)
    assert set_default_model("brighter", folder=store) == "lite"
    assert load_model("default", device="cpu", models_folder=store).spec.name == "brighter"
    assert remove_model("brighter", folder=store).origin == "site"
    assert default_model(folder=store) == "lite"
    assert not list((store / "site").iterdir())


def test_a_default_that_is_gone_is_an_error_and_no_other_model(a_file, tmp_path):
    import_model(a_file, folder=tmp_path)
    set_default_model("brighter", folder=tmp_path)
    (tmp_path / "site/brighter").rename(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match="models use lite"):
        default_model(folder=tmp_path)


def test_a_model_without_weights_cannot_be_the_default(tmp_path):
    with pytest.raises(WeightsError, match="seganypet"):
        set_default_model("seganypet", folder=tmp_path)


@pytest.mark.parametrize(
    "name", ["../evil", "a/b", "a\\b", "", ".hidden", "ends.", "con", "nul.x", "lite", "default", "x" * 65, "a\0b"]
)
def test_a_name_that_is_no_name_of_a_folder_is_refused(a_file, tmp_path, name):
    with pytest.raises(ModelError, match="name"):
        import_model(a_file, name=name, folder=tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_a_taken_name_is_refused_and_the_model_stays(a_file, tmp_path):
    import_model(a_file, folder=tmp_path / "store")
    with pytest.raises(ModelError, match="already"):
        import_model(a_file, folder=tmp_path / "store")
    assert verify_model("brighter", folder=tmp_path / "store")


def changed_copy(a_file, *, tensors=None, **metadata):
    """The file rewritten by somebody who knows the format."""
    checkpoint, facts, _ = read_site_file(a_file)
    said = dict(checkpoint.metadata) | metadata
    path = a_file.with_name("changed.safetensors")
    save_file(dict(checkpoint.state) if tensors is None else tensors, path, metadata=said)
    return path, facts


def test_another_base_is_refused(a_file, tmp_path):
    facts = json.dumps(asdict(replace(read_site_file(a_file)[1], base_sha256="ab" * 32)))
    path, _ = changed_copy(a_file, about=facts)
    with pytest.raises(WeightsError, match="which this model was made from"):
        import_model(path, folder=tmp_path / "store")


def test_weights_or_card_that_were_changed_are_refused(a_file, tmp_path):
    path, _ = changed_copy(a_file, tensors={CHANGED: torch.zeros(1)})
    with pytest.raises(WeightsError, match="damaged"):
        import_model(path, folder=tmp_path / "store")
    path, _ = changed_copy(a_file, card='{"decision": {"becomes_default": true}}')
    with pytest.raises(WeightsError, match="damaged"):
        import_model(path, folder=tmp_path / "store")


def test_tensors_that_the_architecture_has_not_are_refused_before_they_are_read(a_file, tmp_path):
    path, _ = changed_copy(a_file, tensors={"decoder.bomb": torch.zeros(4)})
    with pytest.raises(WeightsError, match=r"decoder\.bomb"):
        import_model(path, folder=tmp_path / "store")
    path, _ = changed_copy(a_file, tensors={CHANGED: torch.zeros(2)})
    with pytest.raises(WeightsError, match="shape"):
        import_model(path, folder=tmp_path / "store")


def test_weights_that_are_not_finite_are_refused(lite_state, tmp_path):
    state = dict(lite_state) | {CHANGED: torch.full((1,), float("nan"))}
    path = tmp_path / "nan.safetensors"
    write_site_file(path, state, about(), card=CARD)
    with pytest.raises(WeightsError, match="finite"):
        import_model(path, folder=tmp_path / "store")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        struct.pack("<Q", 1 << 62) + b"{}",
        struct.pack("<Q", 4) + b"[[[[",
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 200_002) + b"[" * 200_000 + b"{}",
        b"\x80\x04cos\nsystem\n",
    ],
)
def test_what_is_no_site_model_is_refused_with_a_reason(tmp_path, content):
    path = tmp_path / "odd.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="Expected"):
        import_model(path, folder=tmp_path / "store")


def test_weights_that_were_exchanged_in_the_store_are_refused(a_file, tmp_path):
    installed = import_model(a_file, folder=tmp_path)
    damaged = bytearray(installed.path.read_bytes())
    damaged[-1] ^= 1
    installed.path.write_bytes(bytes(damaged))
    with pytest.raises(WeightsError, match="SHA-256"):
        load_model("brighter", device="cpu", models_folder=tmp_path)


def test_one_damaged_record_does_not_hide_the_other_models(a_file, tmp_path):
    import_model(a_file, folder=tmp_path)
    import_model(a_file, name="other", folder=tmp_path)
    (tmp_path / "site/other/site.json").write_text("{")
    assert [one.spec.name for one in list_models(folder=tmp_path) if one.origin == "site"] == ["brighter"]
