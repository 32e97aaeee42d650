"""The tests of finding use the series builder of the data tests, and a real archive where one is installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ENGINE_TESTS = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ENGINE_TESTS / "data"))
sys.path.insert(0, str(Path(__file__).resolve().parent))


@pytest.fixture
def workspace(tmp_path):
    return tmp_path / "workspace"


@pytest.fixture(scope="session")
def orthanc(tmp_path_factory):
    """A real archive with a PET/CT study, a PET study and a CT study."""
    import orthanc_server
    from study_folders import add_ct, add_series

    reason = orthanc_server.why_not_installed()
    if reason is not None:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("orthanc")
    server, process = orthanc_server.start(folder)
    try:
        files = add_series(folder / "1", 1) + add_ct(folder / "1ct")
        files += add_series(folder / "2", 1, study=2, StudyDate="20260203")
        files += add_ct(folder / "3", study=3)
        server.store(files)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=20)
