import json

import numpy as np
import pytest
from prompted_studies import a_study, oblique_grid

from SegAnyPETLib.batch.prompting import is_for_one_study, request_lesions
from SegAnyPETLib.batch.settings import BatchSettings
from SegAnyPETLib.errors import InputError, PromptError
from SegAnyPETLib.session.prompts import Box, Point
from SegAnyPETLib.suv import SUVVolume

UID = "1.2.826.0.1.77"


@pytest.fixture
def an_image():
    grid = oblique_grid()
    return SUVVolume(np.ones(grid.shape_kji, np.float32), grid)


def asked(path, image, *, study=None):
    return request_lesions(study or a_study(uid=UID), image, settings=BatchSettings(prompts=str(path)))


def test_rows_of_a_table_become_the_lesions_of_their_study(tmp_path, an_image):
    table = tmp_path / "clicks.csv"
    table.write_text(
        "Study,lesion,x,y,z,positive\n"
        f"{UID},Läsion A,31,-52,210,1\n"
        "9.9.9,Other,0,0,0,1\n"
        f"{UID},B,20.5,-40,215.25,\n"
        f"{UID},Läsion A,40,-52,210,0\n",
        encoding="utf-8",
    )
    request = asked(table, an_image)
    assert [lesion.label for lesion in request.lesions] == ["Läsion A", "B"]
    assert request.lesions[0].prompts == (Point((31, -52, 210)), Point((40, -52, 210), positive=False))
    assert request.lesions[1].prompts == (Point((20.5, -40, 215.25)),)
    assert not is_for_one_study(table)
    assert "clicks.csv" not in request.lesions[0].origin


def test_a_table_of_a_german_spreadsheet_is_read(tmp_path, an_image):
    table = tmp_path / "clicks.csv"
    table.write_bytes("\ufeffstudy;x;y;z\r\n".encode() + f"{UID};31,5;-52,25;210\r\n\r\n".encode())
    assert asked(table, an_image).lesions[0].prompts == (Point((31.5, -52.25, 210)),)


def test_boxes_come_before_points_and_json_says_the_same_as_csv(tmp_path, an_image):
    rows = [
        {"study": UID, "lesion": "A", "x": 31, "y": -52, "z": 210, "positive": False},
        {"study": UID, "lesion": "A", "x1": 45, "y1": -60, "z1": 200, "x2": 20, "y2": -45, "z2": 220},
    ]
    (tmp_path / "a.json").write_text(json.dumps({"prompts": rows}))
    names = ["study", "lesion", "x", "y", "z", "positive", "x1", "y1", "z1", "x2", "y2", "z2"]
    lines = [",".join(str(row.get(name, "")) for name in names) for row in rows]
    (tmp_path / "a.csv").write_text("\n".join([",".join(names), *lines]))
    expected = (Box((20, -60, 200), (45, -45, 220)), Point((31, -52, 210), positive=False))
    for name in ("a.json", "a.csv"):
        assert asked(tmp_path / name, an_image).lesions[0].prompts == expected


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("study,x,y\n1,2,3\n", "x, y, z"),
        ("study,x,y,z,colour\n1,2,3,4,red\n", "colour"),
        (f"study,x,y,z\n{UID},one,2,3\n", "row 1"),
        (f"study,x,y,z\n{UID},nan,2,3\n", "Row 1"),
        (f"study,x,y,z\n{UID},1,2\n", "line 2"),
        (f"study,x,y,z,positive\n{UID},1,2,3,maybe\n", "positive"),
        (f"study,x,y,z,x1,y1,z1,x2,y2,z2\n{UID},1,2,3,4,5,6,7,8,9\n", "both"),
        (f"study,lesion,x,y,z,positive\n{UID},A,31,-52,210,0\n", "negative clicks only"),
        ("", "none"),
    ],
)
def test_a_table_that_is_wrong_is_refused_with_the_place(tmp_path, an_image, text, word):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=word):
        asked(tmp_path / "t.csv", an_image)


@pytest.mark.parametrize("text", ["{", "[1, 2]", '{"prompts": 3}', "[" * 100_000])
def test_json_that_is_no_table_is_refused(tmp_path, an_image, text):
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(InputError, match=r"JSON|rows"):
        asked(tmp_path / "t.json", an_image)


def test_a_click_outside_the_image_is_refused_for_its_study(tmp_path, an_image):
    (tmp_path / "t.csv").write_text(f"study,x,y,z\n{UID},-31,52,210\n")
    with pytest.raises(PromptError, match="outside"):
        asked(tmp_path / "t.csv", an_image)


def test_a_study_without_prompts_is_told_by_its_key_only(tmp_path, an_image):
    (tmp_path / "t.csv").write_text("study,x,y,z\n9.9,31,-52,210\n")
    study = a_study(uid=UID)
    with pytest.raises(InputError, match=study.key) as refused:
        asked(tmp_path / "t.csv", an_image)
    assert UID not in str(refused.value)


def test_the_most_telling_name_of_a_study_counts(tmp_path, an_image):
    study = a_study(tmp_path / "Meier" / "first" / "PET" / "1.dcm", uid=UID)
    (tmp_path / "t.csv").write_text("study,x,y,z\nMeier,31,-52,210\nfirst,32,-52,210\nsecond,33,-52,210\n")
    assert asked(tmp_path / "t.csv", an_image, study=study).lesions[0].prompts == (Point((32, -52, 210)),)


def test_a_folder_gives_a_study_its_named_files_its_subfolder_and_its_rows(tmp_path, an_image):
    (tmp_path / "all.csv").write_text(f"study,lesion,x,y,z\n{UID},R,31,-52,210\n9.9,X,31,-52,210\n")
    (tmp_path / f"{UID}.extra.csv").write_text("lesion,x,y,z\nN,32,-52,210\n")
    (tmp_path / f"{UID}0.csv").write_text("lesion,x,y,z\nLonger UID,33,-52,210\n")
    (tmp_path / "damaged.csv").write_text("no table")
    (tmp_path / UID).mkdir()
    (tmp_path / UID / "more.csv").write_text("lesion,x,y,z\nS,34,-52,210\n")
    request = asked(tmp_path, an_image)
    assert sorted(lesion.label for lesion in request.lesions) == ["N", "R", "S"]
    assert any("cannot be read" in note for note in request.notes)


def test_one_file_without_study_names_is_used_with_a_note_and_can_be_told_beforehand(tmp_path, an_image):
    (tmp_path / "t.csv").write_text("x,y,z\n31,-52,210\n")
    assert is_for_one_study(tmp_path / "t.csv")
    request = asked(tmp_path / "t.csv", an_image)
    assert request.lesions[0].label == "Lesion 1"
    assert any("names no study" in note for note in request.notes)


@pytest.mark.parametrize("name", ["nothing.csv", "notes.txt"])
def test_a_path_without_prompts_is_refused(tmp_path, an_image, name):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(InputError, match="Expected"):
        asked(tmp_path / name, an_image)


def a_markups_file(points, *, system="LPS", units="mm", **more):
    fields = {"type": "Fiducial", "coordinateSystem": system, "coordinateUnits": units, "controlPoints": points}
    return json.dumps({"markups": [fields | more]})


def a_point(position, label="F-1", description="", status="defined"):
    return {"label": label, "description": description, "position": position, "positionStatus": status}


def test_markups_in_ras_and_lps_give_the_same_clicks_and_each_point_is_a_lesion(tmp_path, an_image):
    for system, sign in (("LPS", 1), ("RAS", -1)):
        points = [
            a_point([31 * sign, -52 * sign, 210], "F-1"),
            a_point([35 * sign, -50 * sign, 212], "F-2"),
            a_point([36 * sign, -50 * sign, 212], "-F-2"),
            a_point("", "F-3", status="undefined"),
        ]
        (tmp_path / "m.mrk.json").write_text(a_markups_file(points, system=system))
        request = asked(tmp_path / "m.mrk.json", an_image)
        assert [lesion.label for lesion in request.lesions] == ["F-1", "F-2"]
        assert request.lesions[0].prompts == (Point((31, -52, 210)),)
        assert request.lesions[1].prompts == (Point((35, -50, 212)), Point((36, -50, 212), positive=False))
        assert any("1 control point" in note for note in request.notes)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        '{"markups": [1]}',
        a_markups_file([a_point([1, 2])]),
        a_markups_file([a_point([1, 2, "x"])]),
        a_markups_file([a_point([31, -52, 210])], system="IJK"),
        a_markups_file([a_point([31, -52, 210])], units="cm"),
        a_markups_file([], type="ROI", center=[0, 0, 0], size=[1, 1, 1], insideOut=True),
        a_markups_file([], type="ROI", center=[0, 0, 0], size=[0, 1, 1]),
    ],
)
def test_markups_that_mean_something_else_are_refused(tmp_path, an_image, text):
    (tmp_path / "m.mrk.json").write_text(text)
    with pytest.raises(InputError, match="Expected"):
        asked(tmp_path / "m.mrk.json", an_image)
