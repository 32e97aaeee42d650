"""`seganypet finetune` with SegAnyPET's network: what it sees, a whole run, a resumed one, and what is stored."""

import json
import shutil

import numpy as np
import pytest
import torch
from little_cohort import little_case
from safetensors import safe_open
from small_segany import SIDE, install, make_short, small_vit, write_cohort

from SegAnyPETLib.cli import main
from SegAnyPETLib.data.segment import Segment
from SegAnyPETLib.finetune import estimating, judging_time, site_training
from SegAnyPETLib.finetune.checkpointing import CHECKPOINT_NAME
from SegAnyPETLib.finetune.cohort import CohortCrops, CohortEntry, cohort_crops, make_case
from SegAnyPETLib.finetune.cohort.crop_kind import CropKind
from SegAnyPETLib.finetune.cohort.manifest import read_manifest
from SegAnyPETLib.finetune.crops import to_volumes
from SegAnyPETLib.finetune.trainable_vit import trainable_copy
from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.model import load_model
from SegAnyPETLib.model.site_file import base_facts
from SegAnyPETLib.model.spec import model_spec
from SegAnyPETLib.preprocess import Region
from SegAnyPETLib.session.clean_image import CleanImage
from SegAnyPETLib.session.region_network import RegionNetwork
from SegAnyPETLib.suv import SUVVolume


class Remembering:
    """A model for a session that keeps what it was given."""

    def __init__(self, spec):
        self.spec = spec

    def encode(self, volume):
        self.given = volume

    def decode(self, embedding, *, points=None, mask_logits=None):
        return torch.zeros(1, 1, *self.spec.preprocessing.mask_shape), None


class EmptyCache:
    def get(self, region, make):
        return make()


@pytest.fixture
def only_the_middle_of_lesions(monkeypatch):
    """Crops around the lesion's middle, from the whole image."""
    monkeypatch.setattr(cohort_crops, "OFF_CENTRE_SHARE", 0.0)
    monkeypatch.setattr(cohort_crops, "JITTER_MM", 0.0)
    monkeypatch.setattr("SegAnyPETLib.pretrain.real_cases.MAX_CUT_MM", 0.0)


@pytest.fixture
def a_small_segany(tmp_path, monkeypatch):
    """The network, and where its weights are."""
    return install(monkeypatch, tmp_path / "home")


def a_case_hotter_than_lite_looks():
    little = little_case(4)
    entry = CohortEntry("c", "p", None, None)
    return make_case(entry, SUVVolume(30 * little.suv, little.grid), [Segment("s", little.label)])


def in_a_session(case, spec, spacing_mm):
    """What a session gives the network around the middle of the lesion."""
    wanted = spec.preprocessing
    middle = case.grid.kji_to_lps(np.argwhere(case.label).mean(axis=0))
    model = Remembering(spec)
    region = Region(tuple(middle), wanted.roi_shape, spacing_mm, wanted.tensor_axes)
    network = RegionNetwork(CleanImage(case.suv, case.grid), model, cache=EmptyCache())
    network.decode(region, [], mask_logits=None, cancel=None)
    return model.given


def test_the_network_learns_from_what_a_session_gives_it(a_small_segany, only_the_middle_of_lesions):
    spec, case = model_spec("seganypet"), a_case_hotter_than_lite_looks()
    crops = CohortCrops([case], replay_share=0.0, kind=CropKind.of(spec), is_augmented=False)
    (crop,) = crops.careful(np.random.default_rng(1), 1)
    assert (crop.suv.shape, crop.spacing_mm) == ((SIDE,) * 3, 1.5)
    network, seen = trainable_copy(small_vit()), []
    network.image_encoder.register_forward_pre_hook(lambda _module, given: seen.append(given[0]))
    network.encode(to_volumes([crop], torch.device("cpu")))
    wanted = in_a_session(case, spec, 1.5)
    assert crop.suv.max() > 150
    torch.testing.assert_close(seen[0], wanted, atol=2e-3, rtol=1e-3)


def test_lite_learns_from_what_a_session_gives_it(only_the_middle_of_lesions):
    spec, case = model_spec("lite"), a_case_hotter_than_lite_looks()
    crops = CohortCrops([case], replay_share=0.0, kind=CropKind.of(spec), is_augmented=False)
    for crop in crops.careful(np.random.default_rng(1), 2):
        difference = to_volumes([crop], torch.device("cpu")) - in_a_session(case, spec, crop.spacing_mm)
        assert (difference.abs() > 2e-3).float().mean() < 1e-4  # the very end of the image is a matter of rounding


def test_axes_stay_in_their_order_for_a_network_that_knows_bodies_as_they_lie(a_small_segany):
    shape = (40, 40, 40)
    ramp = np.broadcast_to(1 + 0.1 * np.arange(40, dtype=np.float32)[:, None, None], shape)
    mask = np.zeros(shape, dtype=bool)
    mask[17:23, 17:23, 17:23] = True
    grid = Grid(shape, (4.0, 4.0, 4.0), (0.0, 0.0, 0.0))
    case = make_case(CohortEntry("c", "p", None, None), SUVVolume(ramp.copy(), grid), [Segment("s", mask)])
    crops = CohortCrops([case], replay_share=0.0, kind=CropKind.of(model_spec("seganypet")))
    for crop in crops.careful(np.random.default_rng(2), 6):
        inner = crop.suv[18:30, 18:30, 18:30]
        steepness = [abs(float(np.diff(inner, axis=axis).mean())) for axis in range(3)]
        assert np.argmax(steepness) == 0  # the ramp rises towards the head


def test_replayed_scenes_are_scans_brought_to_the_voxels_of_the_network(a_small_segany, monkeypatch):
    monkeypatch.setattr(cohort_crops, "BODY_SHARE", 0.0)
    monkeypatch.setattr(cohort_crops, "SCANNER_MM", (5.0, 5.0))
    case = a_case_hotter_than_lite_looks()
    crops = CohortCrops([case], replay_share=1.0, kind=CropKind.of(model_spec("seganypet")))
    for crop in crops.careful(np.random.default_rng(3), 4):
        assert (crop.suv.shape, crop.spacing_mm, crop.normalization) == ((SIDE,) * 3, 1.5, "zscore_positive")
        assert crop.label.sum() >= 8
        bends = np.diff(crop.suv, n=2, axis=0)  # 0 where three voxels of 1.5 mm lie between two of 5 mm: in 2 of 5
        assert np.mean(np.abs(bends) < 1e-4) > 0.35


def finetune(cohort, run, name, *more):
    command = ["finetune", "--cohort", str(cohort), "--base", "seganypet", "--out", str(run), "--name", name, "--quiet"]
    return main([*command, "--method", "cpcl", "--parts", "lora", "--device", "cpu", "--steps", "3", *more])


def tensors_of(path):
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  the file is no mapping


def test_a_run_goes_to_its_card_holds_what_changed_and_is_resumed_bit_for_bit(
    a_small_segany, tmp_path, monkeypatch, capsys
):
    network, weights = a_small_segany
    make_short(monkeypatch)
    cohort, run, again = write_cohort(tmp_path), tmp_path / "run", tmp_path / "again"
    assert finetune(cohort, run, "ours") == 0

    lines = [json.loads(line) for line in (run / "progress.jsonl").read_text().splitlines()]
    said = next(line for line in lines if "slow without a GPU" in line.get("message", ""))
    assert "3 steps take about" in said["message"]
    assert said["seconds_left"] > 0
    assert lines.index(said) < next(n for n, line in enumerate(lines) if line["loss"] is not None)
    card = json.loads((run / "card.json").read_text())
    assert (card["steps"], card["base"]) == (3, "seganypet")
    assert card["labels"]["looked_at"] >= 1
    assert len(card["validations"]) >= 1

    kept, before = tensors_of(run / "model.safetensors"), network.state_dict()
    assert all(name.startswith(("mask_decoder.", "image_encoder.blocks.")) for name in kept)
    assert any(name.endswith("attn.qkv.weight") for name in kept)
    ours = load_model("ours", device="cpu").network.state_dict()
    assert all(torch.equal(ours[name], kept.get(name, before[name])) for name in before)
    exported = tmp_path / "ours.safetensors"
    assert main(["models", "export", "ours", str(exported)]) == 0
    assert exported.stat().st_size < weights.stat().st_size
    assert main(["models", "import", str(exported), "--name", "theirs"]) == 0

    def interrupted(folder, **_):
        if json.loads((folder / "progress.jsonl").read_text().splitlines()[-1])["step"] == 2:
            raise KeyboardInterrupt
        return False

    with monkeypatch.context() as patched:
        patched.setattr(site_training, "wait_while_paused", interrupted)
        assert finetune(cohort, again, "resumed") == 130
    monkeypatch.setattr(site_training, "_finish", lambda *_: None)  # the same again
    assert main(["finetune", "--out", str(again), "--resume", "--quiet"]) == 0
    whole, resumed = (tensors_of(folder / CHECKPOINT_NAME) for folder in (run, again))
    assert resumed.keys() == whole.keys()
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)
    assert any(name.startswith("optimizer/") for name in whole)


def test_the_time_of_each_preset_is_measured_with_this_network(a_small_segany, tmp_path, monkeypatch):
    monkeypatch.setattr(cohort_crops, "BODY_SHARE", 0.0)
    monkeypatch.setattr(judging_time, "judging_seconds_per_lesion", lambda _model: 3.0)
    manifest = read_manifest(write_cohort(tmp_path))
    seconds = estimating.estimate_presets(manifest, base="seganypet", method="hq", device="cpu")
    # Ten validations of about two lesions; at the end these and the bundled cases, twice.
    judged = 10 * 2 + 2 * (2 + 26)
    assert 3.0 * judged < seconds["quick"] < seconds["balanced"] < seconds["thorough"]


def test_a_file_with_the_weights_of_a_registered_model_stands_for_it(a_small_segany, tmp_path):
    _, weights = a_small_segany
    copied, other = tmp_path / "my_checkpoint.pth", tmp_path / "other.pth"
    shutil.copyfile(weights, copied)
    other.write_bytes(weights.read_bytes()[:-1] + b"x")
    name, digest = base_facts(str(copied))
    assert (name, digest) == base_facts("seganypet")
    assert name == "seganypet"
    assert base_facts(str(other)) == ("", "")
