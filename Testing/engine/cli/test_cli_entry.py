"""What every subcommand shares: exit codes, warnings, speed of the help."""

import subprocess
import sys
import time
import warnings

import pytest

from SegAnyPETLib import errors
from SegAnyPETLib.cli import exit_codes, main, models
from SegAnyPETLib.version import __version__


def fail_with(monkeypatch, error):
    def run(options):
        raise error

    monkeypatch.setattr(models, "run_list", run)
    return main(["models", "list"])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InputError("x"), 3),
        (errors.DICOMError("x"), 3),
        (errors.InconsistentSeriesError("x"), 3),
        (errors.SUVError("x"), 3),
        (errors.GeometryError("x"), 3),
        (errors.PromptError("x"), 4),
        (errors.ModelError("x"), 5),
        (errors.WeightsError("x"), 5),
        (errors.DeviceError("x"), 5),
        (errors.ConsentError("x"), 5),
        (errors.OutputError("x"), 6),
        (errors.SetupError("x"), 7),
        (errors.SessionError("x"), 1),
        (MemoryError(), 8),
        (KeyboardInterrupt(), 130),
    ],
)
def test_each_error_has_its_exit_code(monkeypatch, capsys, error, code):
    assert fail_with(monkeypatch, error) == code
    captured = capsys.readouterr()
    assert captured.err.startswith("seganypet: ")
    assert captured.err.count("\n") == 1


def test_the_list_of_exit_codes_for_people_is_the_real_one():
    lines = [line.split() for line in (exit_codes.__doc__ or "").splitlines() if line.strip()[:1].isdigit()]
    assert {int(words[0]) for words in lines} == {int(code) for code in exit_codes.ExitCode}


def test_messages_of_several_lines_become_one(monkeypatch, capsys):
    fail_with(monkeypatch, errors.InputError("first\n   second"))
    assert capsys.readouterr().err == "seganypet: first second\n"


def test_our_warnings_are_shown_and_those_of_other_libraries_are_not(monkeypatch, capsys):
    def run(options):
        warnings.warn("DOE^JANE is no valid value", UserWarning, stacklevel=1)  # as pydicom would quote a header
        warnings.warn("a slice was counted twice", errors.SegAnyPETWarning, stacklevel=1)
        return 0

    monkeypatch.setattr(models, "run_list", run)
    assert main(["models", "list"]) == 0
    assert capsys.readouterr().err == "seganypet: warning: a slice was counted twice\n"


def test_a_bug_is_not_hidden(monkeypatch):
    with pytest.raises(ZeroDivisionError):
        fail_with(monkeypatch, ZeroDivisionError("a bug"))


def test_the_module_is_the_command_and_its_help_loads_nothing_heavy():
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "SegAnyPETLib", "--help"], capture_output=True, text=True, check=True)
    assert time.perf_counter() - started < 5.0  # torch alone takes longer to load on a busy machine
    for subcommand in ("demo", "segment", "evaluate", "models", "bench"):
        assert subcommand in done.stdout


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out == f"seganypet {__version__}\n"


@pytest.mark.parametrize("words", [[], ["segmentate"], ["demo", "--ou", "x"]])
def test_wrong_usage_leaves_with_code_2(words):
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 2
