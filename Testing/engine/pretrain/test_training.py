"""A run can be killed and resumed, and learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from SegAnyPETLib.data import write_volume_nifti
from SegAnyPETLib.data.case_folder import IMAGE_NAME, REFERENCE_NAME
from SegAnyPETLib.errors import GeometryError, ModelError, SegAnyPETError, WeightsError
from SegAnyPETLib.evaluation import find_cases
from SegAnyPETLib.geometry import Grid
from SegAnyPETLib.pretrain import train as training
from SegAnyPETLib.pretrain.config import TrainingConfig
from SegAnyPETLib.pretrain.real_cases import RealCase, read_real_cases, sample_real_crop

SMALL = TrainingConfig(steps=4, batch=1, large_crop_voxels=48, max_clicks=2, validate_every=2, bodies=1)


@pytest.fixture
def few_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "VALIDATION_SCENES", 1)  # of shapes: no body is built for it


@pytest.fixture
def a_case() -> RealCase:
    """An anisotropic image with a hot off-centre block."""
    mask = np.zeros((30, 24, 20), dtype=bool)
    mask[12:20, 6:14, 9:15] = True
    return RealCase("A_7", np.where(mask, 6.0, 1.0).astype(np.float32), mask, (3.0, 5.0, 4.0))


@pytest.mark.usefixtures("few_scenes")
def test_a_killed_run_resumes_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = load_file(training.train(SMALL, tmp_path / "whole"))
    save = training._Run.save

    def save_then_die(run: training._Run, step: int) -> None:
        save(run, step)
        raise KeyboardInterrupt

    monkeypatch.setattr(training._Run, "save", save_then_die)
    with pytest.raises(KeyboardInterrupt):
        training.train(SMALL, tmp_path / "killed")
    monkeypatch.setattr(training._Run, "save", save)
    resumed = load_file(training.train(SMALL, tmp_path / "killed"))
    for key, value in whole.items():
        torch.testing.assert_close(resumed[key], value, rtol=0, atol=0)


@pytest.mark.usefixtures("few_scenes")
def test_the_number_of_workers_does_not_change_the_weights(tmp_path: Path, a_case: RealCase) -> None:
    config = replace(SMALL, steps=2, real_share=0.5, body_share=0.0)
    alone = load_file(training.train(config, tmp_path / "alone", cases=[a_case]))
    helped = load_file(training.train(config, tmp_path / "helped", cases=[a_case], workers=1))
    for key, value in alone.items():
        torch.testing.assert_close(helped[key], value, rtol=0, atol=0)


@pytest.mark.usefixtures("few_scenes")
def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    training.train(SMALL, tmp_path)
    with pytest.raises(WeightsError, match="other settings"):
        training.train(replace(SMALL, steps=6), tmp_path)


@pytest.mark.usefixtures("few_scenes")
def test_real_cases_are_used_and_the_curves_drawn(tmp_path: Path, a_case: RealCase) -> None:
    config = replace(SMALL, steps=2, real_share=1.0, max_clicks=1)
    training.train(config, tmp_path, cases=[a_case])
    assert (tmp_path / "curves.png").stat().st_size > 1000
    assert '"dice_3"' in (tmp_path / "history.json").read_text()


@pytest.mark.parametrize("side", [32, 56])
def test_crops_that_the_network_cannot_learn_from_are_refused(side: int) -> None:
    with pytest.raises(ModelError, match="multiple of 16, at least 48"):
        replace(SMALL, crop_voxels=side)


def test_a_real_crop_keeps_target_and_uptake_together(a_case: RealCase) -> None:
    for n in range(8):
        scene = sample_real_crop(np.random.default_rng(n), a_case, size=24)
        assert scene.target.sum() >= 8
        assert scene.suv[scene.target].mean() > 2 * scene.suv[~scene.target & (scene.suv > 0)].mean()


def test_the_excluded_fold_is_never_read(tmp_path: Path, real_data_folder: Path) -> None:
    names = {c.name for c in read_real_cases(real_data_folder / "sts", exclude_fold=(2, 5))}
    assert names == {p.name for p in (real_data_folder / "sts").iterdir() if int(p.name[-3:]) % 5 != 2}
    assert len(names) < 30
    with pytest.raises(SegAnyPETError, match="found none"):
        read_real_cases(tmp_path)


def write_case(folder: Path, case: RealCase, *, mask_origin_mm: float = 0.0) -> None:
    folder.mkdir()
    k, j, i = case.spacing_kji_mm
    for name, array, origin in ((IMAGE_NAME, case.suv, 0.0), (REFERENCE_NAME, case.mask, mask_origin_mm)):
        grid = Grid(array.shape, (i, j, k), (origin, 0.0, 0.0))
        write_volume_nifti(folder / name, array.astype(np.float32), grid=grid)


def test_training_and_evaluation_split_cases_alike_also_where_names_hold_several_numbers(
    tmp_path: Path, a_case: RealCase
) -> None:
    """A case that one side counts to another fold would be trained on and tested on."""
    for name in ("IBSI2_STS_003", "IBSI2_STS_014", "T1_patient7b"):
        write_case(tmp_path / name, a_case)
    for fold in (2, 3, 4):
        trained = {case.name for case in read_real_cases(tmp_path, exclude_fold=(fold, 5))}
        tested = {path.name for path in find_cases(tmp_path, fold=(fold, 5))}
        assert trained | tested == {"IBSI2_STS_003", "IBSI2_STS_014", "T1_patient7b"}
        assert len(tested) == 1
        assert not trained & tested


def test_a_mask_on_another_grid_is_refused(tmp_path: Path, a_case: RealCase) -> None:
    write_case(tmp_path / "A_7", a_case, mask_origin_mm=3.0)
    with pytest.raises(GeometryError, match="on the grid of"):
        read_real_cases(tmp_path)
