"""Studies out of a real Orthanc archive, by DICOMweb and by DIMSE, and peers that refuse."""

from __future__ import annotations

import json
import logging
import stat
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest
from orthanc_server import free_port
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from study_folders import study_uid

from SegAnyPETLib.batch.finding import find_studies, read_found_ct, read_found_pet, search_sources, without_credentials
from SegAnyPETLib.batch.finding.dimse_source import FIND
from SegAnyPETLib.batch.finding.remote_address import parse_dimse_address, parse_web_address
from SegAnyPETLib.errors import InputError


@pytest.fixture(params=["web", "dimse"])
def address(orthanc, request):
    return getattr(orthanc, request.param)


def test_the_pet_studies_of_an_archive_are_found_and_their_images_brought(address, workspace, caplog):
    caplog.set_level(logging.DEBUG)
    found = search_sources([address], workspace=workspace)
    assert [study.study_instance_uid for study in found.studies] == [study_uid(1), study_uid(2)]
    assert [len(study.ct.files) if study.ct else 0 for study in found.studies] == [5, 0]
    series = read_found_pet(found.studies[0])
    assert series.values[4, 2, 3] == (4000 + 200 + 3 + 1) * 0.5
    ct = read_found_ct(found.studies[0], series.grid)
    np.testing.assert_allclose(ct, series.values, rtol=1e-4)  # the CT of the fixture has the voxels of the PET
    assert "p@ss" not in str(found.studies)
    assert "p@ss" not in caplog.text
    assert "NOBODY" not in caplog.text
    assert study_uid(1) not in caplog.text


def test_the_workspace_is_for_its_owner_only_and_names_nobody(address, workspace):
    workspace.mkdir(mode=0o755)
    find_studies([address], workspace=workspace)
    assert stat.S_IMODE(workspace.stat().st_mode) == 0o700
    names = " ".join(str(path.relative_to(workspace)) for path in workspace.rglob("*"))
    assert "PATIENT" not in names
    assert "1.2.826" not in names


def test_a_query_narrows_the_search(address, workspace):
    (study,) = find_studies([f"{address}?StudyDate=20260101-20261231"], workspace=workspace)
    assert study.study_instance_uid == study_uid(2)


def test_what_was_fetched_is_not_fetched_again_and_what_is_half_is(address, workspace):
    first = find_studies([address], workspace=workspace)
    first[1].pet.files[0].unlink()
    times = {path: path.stat().st_mtime_ns for path in first[0].pet.files}
    again = find_studies([address], workspace=workspace)
    assert [study.key for study in again] == [study.key for study in first]
    assert {path: path.stat().st_mtime_ns for path in again[0].pet.files} == times
    assert len(again[1].pet.files) == 5


def test_wrong_credentials_are_said_plainly(orthanc, workspace):
    wrong = orthanc.web.replace("reader", "nobody")
    with pytest.raises(InputError, match=r"refused to search for studies \(HTTP status 401\)") as error:
        find_studies([wrong], workspace=workspace)
    assert "p@ss" not in str(error.value)
    assert "p%40ss" not in str(error.value)


def test_credentials_may_come_from_the_environment(orthanc, workspace, monkeypatch):
    bare = without_credentials(orthanc.web)
    assert "@" not in bare
    monkeypatch.setenv("SEGANYPET_DICOMWEB_USER", "reader")
    monkeypatch.setenv("SEGANYPET_DICOMWEB_PASSWORD", "p@ss:word")
    assert len(find_studies([bare], workspace=workspace)) == 2


def test_a_wrong_title_is_said_plainly(orthanc, workspace):
    with pytest.raises(InputError, match=r"the association\. Check its title, and that it knows SEGANYPET"):
        find_studies([orthanc.dimse.replace("ARCHIVE", "OTHER")], workspace=workspace)


@pytest.mark.parametrize("scheme", ["dicomweb+http://", "dimse://AET@"])
def test_a_peer_that_is_not_there_is_said_plainly(workspace, scheme):
    with pytest.raises(InputError, match="Check"):
        find_studies([f"{scheme}127.0.0.1:{free_port()}"], workspace=workspace)


@contextmanager
def serving(answers):
    """A small HTTP server that answers a path that ends so with a status and a body, and others with nothing found."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.partition("?")[0]
            status, body = next((answer for ending, answer in answers.items() if path.endswith(ending)), (404, b""))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"dicomweb+http://127.0.0.1:{server.server_port}/rs"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_server_that_is_no_dicomweb_server_is_said_plainly(workspace):
    with serving({"": (200, b"<html>hello</html>")}) as address, pytest.raises(InputError, match="cannot search"):
        find_studies([address], workspace=workspace)


def test_a_series_that_cannot_be_fetched_is_a_problem_of_its_study_only(workspace):
    study = {"0020000D": {"vr": "UI", "Value": ["1.2.3"]}}
    series = {"0020000E": {"vr": "UI", "Value": ["1.2.3.4"]}, "00080060": {"vr": "CS", "Value": ["PT"]}}
    answers = {
        "/studies": (200, json.dumps([study]).encode()),
        "/studies/1.2.3/series": (200, json.dumps([series]).encode()),
        "/series/1.2.3.4": (500, b"patient Doe is locked"),
    }
    with serving(answers) as address:
        (found,) = find_studies([address], workspace=workspace)
    (problem,) = found.problems
    assert "refused to send a series (HTTP status 500)" in problem
    assert "Doe" not in problem
    assert not [path for path in workspace.rglob("*") if path.is_file()]


def test_a_uid_that_would_lead_elsewhere_is_refused(workspace):
    study = {"0020000D": {"vr": "UI", "Value": ["../../secrets"]}}
    with serving({"/studies": (200, json.dumps([study]).encode())}) as address, pytest.raises(InputError):
        find_studies([address], workspace=workspace)


def test_an_archive_without_c_get_is_said_in_the_row_of_the_study(workspace):
    def find(event):
        answer = Dataset()
        answer.QueryRetrieveLevel = event.identifier.QueryRetrieveLevel
        answer.StudyInstanceUID = "1.2.3"
        if answer.QueryRetrieveLevel == "SERIES":
            answer.SeriesInstanceUID, answer.Modality = "1.2.3.4", "PT"
        yield 0xFF00, answer

    archive = AE(ae_title="OLD")
    archive.add_supported_context(FIND)
    server = archive.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, find)])
    try:
        address = f"dimse://OLD@127.0.0.1:{server.server_address[1]}"
        (found,) = find_studies([address], workspace=workspace)
    finally:
        server.shutdown()
    assert "does not offer C-GET to SEGANYPET" in found.problems[0]


@pytest.mark.parametrize(
    "source",
    [
        "dicomweb+https:///path",
        "dicomweb+https://host:99999/",
        "dicomweb+https://user:secret@host/?Patient=1",
        "dimse://host:104",
        "dimse://AET@host",
        "dimse://A_TITLE_OF_TOO_MANY_SIGNS@host:104",
        "dimse://AET@host:104?calling=",
    ],
)
def test_a_malformed_address_is_refused_without_repeating_a_password(workspace, source):
    with pytest.raises(InputError) as error:
        find_studies([source], workspace=workspace)
    assert "secret" not in str(error.value)


def test_an_address_is_taken_apart():
    web = parse_web_address("dicomweb+https://me:a%2Fb@pacs.example:8443/rs/?PatientID=7%2A")
    assert (web.url, web.user, web.password, dict(web.query)) == (
        "https://pacs.example:8443/rs",
        "me",
        "a/b",
        {"PatientID": "7*"},
    )
    assert "a/b" not in repr(web)
    dimse = parse_dimse_address("dimse://MY%20PACS@10.0.0.9:104?calling=ME&StudyDate=20260101")
    assert (dimse.called_aet, dimse.calling_aet, dimse.host, dimse.port) == ("MY PACS", "ME", "10.0.0.9", 104)
    assert dict(dimse.query) == {"StudyDate": "20260101"}
