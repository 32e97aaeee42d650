"""What Slicer's Python is asked for, and what the Extensions Index is told, held against the project's own files."""

import ast
import json
import re
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
# Slicer 5.12.0, SuperBuild/External_python-*.cmake and External_SimpleITK.cmake: replacing these would harm Slicer.
SLICERS_OWN = {"numpy": "2.4.6", "scipy": "1.17.1", "pydicom": "3.0.2", "highdicom": "0.27.0", "SimpleITK": "2.5.5"}
BY_THE_EXTENSION = {"torch"}
ONLY_FOR_TRAINING = {"monai"}
PACKAGES = {  # what comes with another package, or is called otherwise
    "httpx2": "huggingface_hub",
    "dask": "distributed",
    "dicomweb_client": "dicomweb-client",
    "requests": "dicomweb-client",
    "urllib3": "dicomweb-client",
}


def asked_for():
    lines = (ROOT / "Resources" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return {each.name: each for each in (Requirement(line) for line in lines if line and not line.startswith("#"))}


def pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {each.name: each for each in (Requirement(line) for line in project["dependencies"])}


def test_slicer_is_asked_for_every_dependency_but_torch_and_what_only_training_needs():
    assert set(asked_for()) == set(pinned()) - BY_THE_EXTENSION - ONLY_FOR_TRAINING


def test_requirements_are_lower_bounds_that_our_own_and_slicers_versions_meet():
    versions = {name: next(iter(each.specifier)).version for name, each in pinned().items()}
    for name, each in asked_for().items():
        assert [part.operator for part in each.specifier] == [">="], each
        assert Version(versions[name]) in each.specifier, f"{each} is not met by the tested {versions[name]}"
        if name in SLICERS_OWN:
            assert Version(SLICERS_OWN[name]) in each.specifier, f"{each} would replace Slicer's {SLICERS_OWN[name]}"


def test_what_the_engine_imports_is_asked_for():
    imported = set()
    for path in (ROOT / "SegAnyPETLib").rglob("*.py"):
        if path.relative_to(ROOT / "SegAnyPETLib").parts[0] in ("pretrain", "mrml"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.split(".")[0])
    imported -= set(sys.stdlib_module_names) | {"SegAnyPETLib", "openvino"}  # OpenVINO is optional
    assert {PACKAGES.get(name, name) for name in imported} - BY_THE_EXTENSION <= set(asked_for())


def test_the_catalog_entry_says_what_cmake_says():
    entry = json.loads((ROOT / "Resources" / "ExtensionsIndex" / "SegAnyPET.json").read_text(encoding="utf-8"))
    cmake = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    assert " ".join(entry["build_dependencies"]) == re.search(r'EXTENSION_DEPENDS "([^"]*)"', cmake)[1]
    assert entry["category"] == "Segmentation"
    assert entry["$schema"].endswith("slicer-extension-catalog-entry-schema-v1.0.2.json#")
    known = {"$schema", "build_dependencies", "build_subdirectory", "category", "dicom_support_rule", "scm_revision"}
    assert set(entry) <= known | {"scm_url", "scm_type", "enabled", "tier"}
    assert Path(entry["scm_url"]).name == "SlicerSegAnyPET.git"
    assert entry["tier"] in range(1, 6)
