"""What is written for people must be true: README snippets, docstrings, the drawn tree of errors."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import shlex
from pathlib import Path

import pytest

import SegAnyPETLib
from SegAnyPETLib import errors

REPOSITORY = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("**/*.md")])


def blocks(language: str) -> list[tuple[str, str]]:
    pattern = re.compile(rf"^```{language}\n(.*?)^```", re.MULTILINE | re.DOTALL)
    return [
        (f"{path.name}#{number}", match)
        for path in DOCUMENTS
        for number, match in enumerate(pattern.findall(path.read_text(encoding="utf-8")), start=1)
    ]


@pytest.mark.parametrize(("where", "code"), blocks("python"), ids=lambda value: value if "#" in value[:20] else "")
def test_python_in_the_documents_compiles_and_its_names_exist(where, code):
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "SegAnyPETLib":
            module = importlib.import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name), f"{where}: {node.module} has no {alias.name}"
        if isinstance(node, ast.Call):
            check_keywords(where, node)


def check_keywords(where: str, call: ast.Call) -> None:
    """A keyword of one of our public functions or classes must exist."""
    if not isinstance(call.func, ast.Name) or call.func.id not in SegAnyPETLib.__all__:
        return
    parameters = inspect.signature(getattr(SegAnyPETLib, call.func.id)).parameters
    for keyword in call.keywords:
        assert keyword.arg in parameters, f"{where}: {call.func.id} takes no {keyword.arg}"


def commands() -> list[tuple[str, str]]:
    lines = []
    for language in ("bash", "sh", "console", "shell"):
        for where, text in blocks(language):
            joined = text.replace("\\\n", " ")
            lines += [(where, line.removeprefix("$ ").strip()) for line in joined.splitlines()]
    return [(where, line) for where, line in lines if line.startswith("seganypet ")]


@pytest.mark.parametrize(("where", "line"), commands())
def test_commands_in_the_documents_are_understood(where, line):
    from SegAnyPETLib.cli.arguments import protect_negative_coordinates
    from SegAnyPETLib.cli.entry import build_parser

    words = shlex.split(line, comments=True)[1:]
    if not {"--help", "--version"} & set(words):
        build_parser().parse_args(protect_negative_coordinates(words))


@pytest.mark.parametrize("name", [name for name in SegAnyPETLib.__all__ if name != "__version__"])
def test_every_public_name_is_documented(name):
    target = getattr(SegAnyPETLib, name)
    text = inspect.getdoc(target)
    assert text
    assert len(text) > 20
    if inspect.isclass(target):
        for attribute, member in vars(target).items():
            if not attribute.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
                assert inspect.getdoc(member), f"{name}.{attribute} has no docstring"


def drawn_tree() -> dict[str, tuple[str, ...]]:
    """Class name -> names of its bases, as drawn on top of errors.py."""
    drawing = (errors.__doc__ or "").split("Each message")[0]
    bases: dict[str, tuple[str, ...]] = {}
    parents: dict[int, str] = {}
    for line in drawing.splitlines():
        match = re.match(r"^([\s│├└─]*)([A-Z]\w+)(?: \((\w+)\))?(?:\s|$)", line)
        if match is None or not match[2].startswith(("SegAnyPET", *vars(errors))):
            continue
        depth = len(match[1])
        above = [parents[d] for d in sorted(parents) if d < depth]
        parents = {d: name for d, name in parents.items() if d < depth} | {depth: match[2]}
        bases[match[2]] = tuple(name for name in (above[-1] if above else None, match[3]) if name)
    return bases


def test_the_drawn_tree_of_errors_is_the_real_one():
    real = {
        name: tuple(base.__name__ for base in item.__bases__ if base not in (Exception, object))
        for name, item in vars(errors).items()
        if inspect.isclass(item) and item.__module__ == errors.__name__
    }
    assert drawn_tree() == real


def test_every_error_says_what_it_is():
    for name, item in vars(errors).items():
        if inspect.isclass(item):
            assert inspect.getdoc(item), name
