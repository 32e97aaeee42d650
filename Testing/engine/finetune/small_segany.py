"""SegAnyPET's network in a few weights under its own registered name, with a store and a cohort for whole runs."""

import csv
import json
from dataclasses import replace
from functools import partial

import torch
from little_cohort import little_case

from SegAnyPETLib.data import write_mask_nifti, write_volume_nifti
from SegAnyPETLib.finetune import reviewing, site_run, site_training
from SegAnyPETLib.finetune.comparing import Comparison, JudgedPair, compare_models, dice_by_click
from SegAnyPETLib.finetune.presets import choose_preset
from SegAnyPETLib.model import networks, spec
from SegAnyPETLib.model.image_encoder import EncoderConfig
from SegAnyPETLib.model.promptable_vit import PromptableViT

SIDE = 48
SMALL = EncoderConfig(image_size=SIDE, patch_size=16, width=24, depth=7, heads=2, window=5, global_blocks=(2, 5))
SPLITS = (("HQ", "train"), ("HQ", "train"), ("HQ", "train"), ("LQ", "train"), ("LQ", "train"), ("HQ", "validation"))


def small_vit():
    torch.manual_seed(4)
    return PromptableViT(SMALL).eval()


def install(monkeypatch, home):
    """Let `vit_b_ori` be the small network, and `seganypet` a checkpoint of it that a user copied into the store."""
    registry = json.loads((spec.resources_folder() / "models.json").read_text())
    registry["architectures"]["vit_b_ori"]["roi_shape"] = [SIDE] * 3
    registry["models"] = [entry for entry in registry["models"] if entry["name"] == "seganypet"]
    resources = home / "Resources"
    weights = home / "models" / "seganypet" / "seganypet_v1.pth"
    resources.mkdir(parents=True)
    weights.parent.mkdir(parents=True)
    (resources / "models.json").write_text(json.dumps(registry))
    network = small_vit()
    torch.save({"model_state_dict": network.state_dict(), "epoch": 3}, weights)
    monkeypatch.setattr(spec, "resources_folder", lambda: resources)
    monkeypatch.setitem(networks._BUILDERS, "vit_b_ori", small_vit)
    monkeypatch.setenv("SEGANYPET_HOME", str(home))
    return network, weights


def make_short(monkeypatch):
    """Less of what takes minutes: two crops a step, one click, replayed shapes instead of bodies, no bundled case."""
    once = {"clicks": (1,)}

    def none_bundled(_before, _after, **_):
        return Comparison((1,), (JudgedPair("scene", "scene", "synthetic", (0.5,), (0.5,)),))

    def cheap(*choices, **facts):
        preset = choose_preset(*choices, **facts)
        cpcl = replace(preset.config.cpcl, prompt_sets=2, warm_up_share=0.0)
        return preset._replace(config=replace(preset.config, batch=2, max_clicks=1, cpcl=cpcl))

    monkeypatch.setattr("SegAnyPETLib.finetune.cohort.cohort_crops.BODY_SHARE", 0.0)
    monkeypatch.setattr(reviewing, "LOOKS_PER_CASE", 1)
    monkeypatch.setattr(site_run, "choose_preset", cheap)
    monkeypatch.setattr(site_training, "compare_bundled", none_bundled)
    monkeypatch.setattr(site_training, "compare_models", partial(compare_models, **once))
    monkeypatch.setattr(site_training, "dice_by_click", partial(dice_by_click, **once))
    monkeypatch.setattr(site_training, "judging_seconds_per_lesion", lambda _model, **_: 2.0)


def write_cohort(folder):
    """A manifest of small oblique cases."""
    lines = []
    for number, (quality, split) in enumerate(SPLITS):
        case = little_case(number, shape=(24, 26, 28))
        write_volume_nifti(folder / f"pet{number}.nii.gz", case.suv, grid=case.grid)
        write_mask_nifti(folder / f"label{number}.nii.gz", case.label, grid=case.grid)
        lines.append([f"c{number}", f"p{number}", f"pet{number}.nii.gz", f"label{number}.nii.gz", quality, split])
    with (folder / "cohort.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["case", "patient", "image", "label", "quality", "split"], *lines])
    return folder / "cohort.csv"
