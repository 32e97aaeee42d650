"""`seganypet batch` from typed words to exit code, with studies that take no time."""

import json
from functools import partial

import pytest
from pretended_study import NAME, run_pretended, search_many

from SegAnyPETLib.batch import finding, runner
from SegAnyPETLib.batch.finding import SearchResult
from SegAnyPETLib.batch.journal import Journal
from SegAnyPETLib.batch.settings import DEFAULT_FORMATS
from SegAnyPETLib.cli import main
from SegAnyPETLib.cli.exit_codes import ExitCode
from SegAnyPETLib.model import find_model, set_default_model


@pytest.fixture(autouse=True)
def _pretended(monkeypatch, tmp_path):
    """`seganypet batch "5 2=suv"` finds five studies of which one is bad."""

    def search(sources, *, workspace, chosen_series=()):
        studies = search_many([sources[0], str(tmp_path)], workspace)
        return SearchResult(tuple(studies), {"damaged file": 1}, len(studies) + 1)

    monkeypatch.setattr(finding, "search_sources", search, raising=False)
    monkeypatch.setattr(runner, "ThreadEngine", partial(with_pretended_studies, runner.ThreadEngine))


def with_pretended_studies(engine, _run_one, **options):
    return engine(run_pretended, **options)


def batch(*words):
    return main(["batch", *map(str, words), "--quiet", "--scheduler", "none"])


def test_a_run_says_how_many_studies_came_to_which_end_and_why(tmp_path, capsys):
    assert batch("5 2=suv,4=bug", "--out", tmp_path / "out") == ExitCode.INCOMPLETE
    said = capsys.readouterr().out
    lines = [line.split() for line in said.splitlines()]
    assert ["done", "3"] in lines
    assert ["failed", "2"] in lines
    assert "Expected a weight" in said
    assert "KeyError" in said
    assert NAME not in said


def test_the_exit_code_is_zero_when_all_is_done_the_second_time_too(tmp_path):
    for _ in range(2):
        assert batch("3", "--out", tmp_path / "out") == ExitCode.DONE
    assert main(["batch", "--resume", "--out", str(tmp_path / "out"), "--quiet", "--scheduler", "none"]) == 0


def test_json_holds_every_study(tmp_path, capsys):
    batch("3 1=suv", "--out", tmp_path / "out", "--json", "--format", "seg, png", "--kind", "lbm")
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "seganypet-batch/1"
    assert document["counts"] == {"done": 2, "failed": 1}
    assert document["settings"]["formats"] == ["seg", "png"]
    assert document["settings"]["kind"] == "lbm"
    assert [study["state"] for study in document["studies"]] == ["done", "failed", "done"]
    assert {study["study_instance_uid"] for study in document["studies"]} == {None}


def test_a_dry_run_lists_studies_and_writes_nothing(tmp_path, capsys):
    out = tmp_path / "out"
    assert batch("4", "--out", out, "--dry-run") == 0
    said = capsys.readouterr().out
    assert said.count("segment ") == 4
    assert "1 damaged file" in said
    assert not out.exists()
    batch("3", "--out", out)
    capsys.readouterr()
    batch("4", "--out", out, "--dry-run", "--json")
    plans = [study["plan"] for study in json.loads(capsys.readouterr().out)["studies"]]
    assert plans == ["nothing, it is done"] * 3 + ["segment"]


def test_settings_that_were_not_typed_are_those_of_the_run_that_is_resumed(tmp_path, capsys):
    out = tmp_path / "out"
    batch("2", "--out", out, "--kind", "bsa", "--format", "seg")
    assert batch("--resume", "--out", out) == 0
    assert batch("2", "--out", out) == ExitCode.INPUT
    assert "kind: bsa before, bw now" in capsys.readouterr().err
    assert batch("--resume", "--out", out, "--kind", "bw") == ExitCode.INPUT
    assert batch("--resume", "--out", out, "--kind", "bw", "--redo") == 0
    with_journal = Journal.open(out / "journal.sqlite", read_only=True)
    settings = with_journal.run().settings
    with_journal.close()
    assert (settings.kind, settings.formats) == ("bw", ("seg",))


def model_of(out):
    journal = Journal.open(out / "journal.sqlite", read_only=True)
    settings = journal.run().settings
    journal.close()
    return settings.model


def test_a_new_run_takes_the_model_that_models_use_chose_and_a_resumed_one_keeps_its_own(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SEGANYPET_HOME", str(tmp_path / "home"))
    assert batch("2", "--out", tmp_path / "before") == 0
    weights = find_model("seganypet").path
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"weights")
    set_default_model("seganypet")
    assert batch("2", "--out", tmp_path / "after") == 0
    assert batch("2", "--out", tmp_path / "typed", "--model", "default") == 0
    assert batch("2", "--out", tmp_path / "other", "--model", "lite") == 0
    assert batch("--resume", "--out", tmp_path / "before") == 0
    models = [model_of(tmp_path / name) for name in ("before", "after", "typed", "other")]
    assert models == ["lite", "seganypet", "seganypet", "lite"]
    capsys.readouterr()
    assert batch("2", "--out", tmp_path / "before") == ExitCode.INPUT
    assert "model: lite before, seganypet now" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["2", "--candidates", "suvv:4"], ExitCode.INPUT, "suvv"),
        (["2", "--format", "jpeg"], ExitCode.INPUT, "jpeg"),
        (["2", "--prompts", "/nowhere/prompts.csv"], ExitCode.INPUT, "nothing there"),
        (["--resume"], ExitCode.INPUT, "found none"),
        (["2", "--ask", "pause"], ExitCode.INPUT, "found none"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(tmp_path, capsys, words, code, said):
    assert batch(*words, "--out", tmp_path / "out") == code
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", [[], ["x", "--workers", "0"], ["x", "--prompts", "p", "--candidates", "suv:4"]])
def test_wrong_usage_leaves_with_2(tmp_path, words):
    with pytest.raises(SystemExit) as error:
        batch(*words, "--out", tmp_path / "out")
    assert error.value.code == 2


def test_asking_needs_somebody_who_listens(tmp_path, capsys):
    out = tmp_path / "out"
    batch("1", "--out", out)
    assert batch("--out", out, "--ask", "stop") == ExitCode.INPUT
    assert "--resume" in capsys.readouterr().err
    journal = Journal.open(out / "journal.sqlite")
    journal.take(patience=lambda _trouble: False)
    assert batch("--out", out, "--ask", "stop") == 0
    assert journal.wish() == "stop"
    journal.leave()
    journal.close()


def test_prompts_of_one_study_are_refused_for_several(tmp_path, capsys):
    prompts = tmp_path / "clicks.csv"
    prompts.write_text("x,y,z\n1,2,3\n")
    assert batch("2", "--out", tmp_path / "out", "--prompts", prompts) == ExitCode.INPUT
    assert "which study" in capsys.readouterr().err
    assert batch("1", "--out", tmp_path / "one", "--prompts", prompts) == 0


def test_every_default_format_can_be_typed(tmp_path):
    assert batch("1", "--out", tmp_path / "out", "--format", ",".join(DEFAULT_FORMATS)) == 0


def test_a_deidentified_run_holds_no_name_of_a_patient_anywhere(tmp_path):
    out = tmp_path / "out"
    batch("2 1=suv", "--out", out, "--deidentify")
    assert (out / "identities.key").stat().st_mode & 0o777 == 0o600
    for path in out.rglob("*"):
        if path.is_file():
            assert NAME.encode() not in path.read_bytes(), path
            assert b"1.2.826" not in path.read_bytes(), path
    assert batch("--resume", "--out", out) == ExitCode.INPUT  # it does not know where the studies were
    assert batch("--resume", "2", "--out", out) == 0
