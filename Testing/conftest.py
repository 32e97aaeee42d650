"""What every test may use. No patient data, nothing downloaded; real cases only where somebody has put them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Before torch is imported: handing out tiny tensors to threads costs more than it saves, on any number of cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # and threads that wait must not take the core from those that work

# The same examples every time, and no deadline: a busy machine must not fail a test.
settings.register_profile("gate", deadline=None, derandomize=True)
settings.load_profile("gate")

REPOSITORY = Path(__file__).resolve().parents[1]


def _outside_folder(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or REPOSITORY.parent / "shared" / default)


@pytest.fixture(scope="session")
def real_data_folder() -> Path:
    """The folder with `sts`, `sts_dicom` and `suv_dro`, named by SEGANYPET_DATA; the test skips where it is absent."""
    folder = _outside_folder("SEGANYPET_DATA", "data")
    if not (folder / "sts").is_dir():
        pytest.skip(f"no real cases at {folder}; set SEGANYPET_DATA to the folder that holds sts, sts_dicom, suv_dro")
    return folder


@pytest.fixture(scope="session")
def golden_folder() -> Path:
    """The folder with the reference network's outputs, named by SEGANYPET_GOLDEN; the test skips where it is absent."""
    folder = _outside_folder("SEGANYPET_GOLDEN", "golden")
    if not (folder / "vit_b_ori_seed7.npz").is_file():
        pytest.skip(f"no golden outputs at {folder}; set SEGANYPET_GOLDEN to the folder with vit_b_ori_seed7.npz")
    return folder
