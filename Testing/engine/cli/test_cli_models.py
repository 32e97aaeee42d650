"""`seganypet models` over a registry and a store of its own; the hub itself is tested in the model's tests."""

import io
import json

import pytest

import SegAnyPETLib.model
from SegAnyPETLib.cli import main
from SegAnyPETLib.errors import ConsentError


@pytest.fixture
def a_store(tmp_path, monkeypatch):
    """An empty folder for downloaded weights."""
    monkeypatch.setenv("SEGANYPET_HOME", str(tmp_path))
    return tmp_path / "models"


def test_list_shows_every_registered_model(a_store, capsys):
    assert main(["models", "list"]) == 0
    printed = capsys.readouterr().out
    for name in ("lite", "seganypet", "seganypet-v2", "seganypet-lesion", "sam-med3d-turbo"):
        assert name in printed


def test_list_as_json_says_whether_weights_are_here(a_store, capsys):
    assert main(["models", "list", "--json"]) == 0
    models = {model["name"]: model for model in json.loads(capsys.readouterr().out)["models"]}
    assert models["seganypet"]["origin"] == "absent"
    assert models["seganypet"]["licence"]


def test_verifying_absent_weights_is_code_5_and_says_how_to_get_them(a_store, capsys):
    assert main(["models", "verify", "seganypet"]) == 5
    assert "seganypet models download seganypet" in capsys.readouterr().err


def test_weights_copied_by_hand_can_be_verified_and_removed(a_store, capsys):
    folder = a_store / "seganypet"
    folder.mkdir(parents=True)
    (folder / "seganypet_v1.pth").write_bytes(b"weights")
    assert main(["models", "verify", "seganypet", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["is_verified"] is False  # nobody stated a hash
    assert main(["models", "remove", "seganypet"]) == 0
    assert not folder.exists()
    assert main(["models", "remove", "seganypet"]) == 0
    assert "nothing to remove" in capsys.readouterr().out


def test_the_bundled_model_cannot_be_removed(a_store):
    assert main(["models", "remove", "lite"]) == 5


@pytest.mark.parametrize("action", ["verify", "remove", "download"])
def test_an_unknown_name_is_code_5_and_the_known_ones_are_listed(a_store, capsys, action):
    assert main(["models", action, "nobody"]) == 5
    assert "seganypet-v2" in capsys.readouterr().err


@pytest.fixture
def a_hub(monkeypatch):
    """Notes what would be downloaded; sends nothing."""
    asked = []

    def download(name, *, consent, on_progress, **_):
        asked.append((name, consent))
        if not consent:
            message = "Expected consent to the licence; found none."
            raise ConsentError(message)
        on_progress(500_000, 1_000_000)
        return SegAnyPETLib.model.find_model(name)

    monkeypatch.setattr(SegAnyPETLib.model, "download_model", download, raising=False)
    return asked


class Terminal(io.StringIO):
    """A keyboard on which one line was typed."""

    def isatty(self):
        return True


def test_consent_on_the_command_line_is_enough(a_store, a_hub):
    assert main(["models", "download", "seganypet", "--yes"]) == 0
    assert a_hub == [("seganypet", True)]


def test_nothing_is_downloaded_when_nobody_can_be_asked(a_store, a_hub, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    assert main(["models", "download", "seganypet"]) == 5
    assert a_hub == [("seganypet", False)]
    assert "licence" in capsys.readouterr().err


@pytest.mark.parametrize(("typed", "code"), [("yes\n", 0), ("Yes\n", 0), ("y\n", 5), ("\n", 5), ("", 5)])
def test_at_a_terminal_only_the_word_yes_agrees(a_store, a_hub, monkeypatch, capsys, typed, code):
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    assert main(["models", "download", "seganypet"]) == code
    assert a_hub == ([("seganypet", True)] if code == 0 else [])
    assert "YichiZhang98/SegAnyPET" in capsys.readouterr().err  # shown before the question


def test_an_action_is_needed():
    with pytest.raises(SystemExit) as left:
        main(["models"])
    assert left.value.code == 2
