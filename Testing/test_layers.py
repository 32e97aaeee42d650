"""The one-way dependency, the sizes and the names that keep this library readable; read from the source."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
LIBRARY = REPOSITORY / "SegAnyPETLib"

# A part imports from lower numbers and from itself. `model` is stricter still.
LAYERS = {
    "version": 0,
    "errors": 0,
    "geometry": 1,
    "data": 2,
    "suv": 3,
    "phantom": 4,
    "clicks": 4,
    "preprocess": 4,
    "model": 5,
    "session": 6,
    "evaluation": 7,
    "report": 7,
    "benchmark": 7,
    "pretrain": 7,
    "worker": 7,
    "mrml": 8,
    "batch": 8,
    "finetune": 8,
    "calibration": 8,
    "cli": 9,
    "__main__": 10,
    "__init__": 10,
}
ALLOWED_BY_MODEL = {"errors", "model", "version"}
MAY_IMPORT_TORCH_AT_ONCE = {"model", "pretrain", "finetune"}
SLICER_MODULES = {"slicer", "vtk", "qt", "ctk", "vtkmodules", "MRMLCore"}
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "core", "tools"}
LONGEST_FILE = 600
LONGEST_FUNCTION = 60

SOURCES = sorted(LIBRARY.rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}


def part_of(path: Path) -> str:
    return path.relative_to(LIBRARY).with_suffix("").parts[0]


def imported_modules(tree: ast.AST) -> set[str]:
    modules = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            assert node.module
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    return modules


def imported_parts(tree: ast.AST) -> set[str]:
    """Parts of our own library; the bare package counts as `__init__`."""
    parts = set()
    for module in imported_modules(tree):
        first, *rest = module.split(".")
        if first == "SegAnyPETLib":
            parts.add(rest[0] if rest and rest[0] in LAYERS else "__init__")
    return parts


def at_module_level(tree: ast.Module) -> set[str]:
    """What importing the file imports: nothing inside a function or under TYPE_CHECKING."""
    modules = set()
    waiting: list[ast.stmt] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules |= imported_modules(node)
        waiting += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
    return {module.split(".")[0] for module in modules}


def identified(path: Path) -> str:
    return path.relative_to(LIBRARY).as_posix()


@pytest.mark.parametrize("path", SOURCES, ids=identified)
def test_imports_point_to_the_left_only(path):
    part = part_of(path)
    assert part in LAYERS, f"{part} has no place in the order of layers; give it one in this test and in the design"
    for other in imported_parts(TREES[path]) - {part}:
        if part == "model":
            assert other in ALLOWED_BY_MODEL, f"{identified(path)} imports {other}; model needs only errors"
        assert LAYERS[other] < LAYERS[part], f"{identified(path)} imports {other}, which is not to its left"


@pytest.mark.parametrize("path", SOURCES, ids=identified)
def test_torch_and_slicer_stay_where_they_belong(path):
    modules = at_module_level(TREES[path])
    if part_of(path) not in MAY_IMPORT_TORCH_AT_ONCE:
        assert not modules & {"torch", "monai", "openvino"}, f"{identified(path)} loads torch on import"
    if part_of(path) != "mrml":
        everywhere = {module.split(".")[0] for module in imported_modules(TREES[path])}
        assert not everywhere & SLICER_MODULES, f"{identified(path)} imports Slicer; only mrml may"


def test_no_name_that_says_nothing():
    names = {path.stem for path in SOURCES} | {path.parent.name for path in SOURCES}
    names |= {path.stem for path in (REPOSITORY / "Testing").rglob("*.py")}
    assert not names & FORBIDDEN_NAMES


def test_no_file_is_too_long():
    lengths = {identified(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_no_function_is_too_long():
    too_long = {}
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if part_of(path) == "model" and node.name == "__init__":
                continue  # a network's constructor may list its parts
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > LONGEST_FUNCTION:
                too_long[f"{identified(path)}:{node.name}"] = length
    assert too_long == {}


def test_no_assert_checks_input():
    found = [
        f"{identified(path)}:{node.lineno}"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert)
    ]
    assert found == []


def loaded_after(statement: str) -> set[str]:
    """Top-level modules a fresh interpreter has loaded after the statement."""
    code = f"import sys\n{statement}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import SegAnyPETLib",
        "from SegAnyPETLib import Grid, Point, Box, PETSeries, SUVVolume, compute_suv, write_dicom_seg",
        "import SegAnyPETLib.cli",
        "from SegAnyPETLib.worker import EngineClient, serve",
        "from SegAnyPETLib.clicks import next_click; from SegAnyPETLib.evaluation import EvaluationResult",
    ],
)
def test_a_fresh_interpreter_loads_neither_torch_nor_slicer(statement):
    assert not loaded_after(statement) & ({"torch", "monai"} | SLICER_MODULES)


def test_the_package_itself_loads_nothing_heavy():
    assert not loaded_after("import SegAnyPETLib, SegAnyPETLib.worker") & {
        "numpy",
        "scipy",
        "SimpleITK",
        "pydicom",
        "matplotlib",
    }
