"""Every file of the extension is named in a CMakeLists.txt, so that none is missing from the package.

Run as a script (`python Testing/test_cmake_lists.py`) to write the lists anew from the tree.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("SegAnyPETLib", "SegAnyPET")
SCRIPTS, RESOURCES = "MODULE_PYTHON_SCRIPTS", "MODULE_PYTHON_RESOURCES"
NOT_INSTALLED = {".pyc", ".pyo"}


def files_in_tree(folder):
    """Relative paths of the folder's Python files, and of its other files."""
    found = sorted(path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    names = [
        path.relative_to(ROOT / folder).as_posix()
        for path in found
        if path.name not in {"CMakeLists.txt", ".gitkeep"} and path.suffix not in NOT_INSTALLED
    ]
    return {
        SCRIPTS: [name for name in names if name.endswith(".py")],
        RESOURCES: [name for name in names if not name.endswith(".py")],
    }


def list_pattern(variable):
    return re.compile(rf"set\({variable}\n((?:  \S+\n)*)  \)")


def files_listed(folder, variable):
    text = (ROOT / folder / "CMakeLists.txt").read_text(encoding="utf-8")
    lines = list_pattern(variable).search(text)[1].split()
    return [line.replace("${MODULE_NAME}", folder) for line in lines]


def written_anew(folder):
    """The folder's CMakeLists.txt with both lists as the tree has them."""
    text = (ROOT / folder / "CMakeLists.txt").read_text(encoding="utf-8")
    for variable, names in files_in_tree(folder).items():
        lines = "".join(f"  {name}\n" for name in names)
        text = list_pattern(variable).sub(f"set({variable}\n{lines}  )", text)
    return text


@pytest.mark.parametrize("variable", [SCRIPTS, RESOURCES])
@pytest.mark.parametrize("folder", FOLDERS)
def test_cmake_lists_name_every_file_in_the_tree(folder, variable):
    listed, there = files_listed(folder, variable), files_in_tree(folder)[variable]
    advice = f"Run 'python Testing/test_cmake_lists.py'. {folder}/CMakeLists.txt should list:\n" + "\n".join(there)
    assert sorted(listed) == there, advice


def test_the_project_is_named_as_the_module_and_depends_on_the_pytorch_extension():
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    assert re.search(r"^project\(SegAnyPET\)$", text, re.MULTILINE)
    assert re.search(r'^set\(EXTENSION_DEPENDS "PyTorch"\)$', text, re.MULTILINE)
    for name in re.findall(r"\$\{CMAKE_CURRENT_SOURCE_DIR\}/([\w.]+)", text):
        assert (ROOT / name).is_file()


# What Slicer's package offers to an extension, as far as ours uses it: copy at build, install the folder.
SLICER_CONFIG = """
set(Slicer_USE_FILE ${CMAKE_CURRENT_LIST_DIR}/use.cmake)
set(Slicer_EXTENSION_GENERATE_CONFIG ${CMAKE_CURRENT_LIST_DIR}/empty.cmake)
set(Slicer_EXTENSION_CPACK ${CMAKE_CURRENT_LIST_DIR}/empty.cmake)
set(Slicer_QTSCRIPTEDMODULES_LIB_DIR lib/qt-scripted-modules)
set(Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR lib/qt-scripted-modules)
"""
SLICER_USE = """
function(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(M "WITH_GENERIC_TESTS;WITH_SUBDIR" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  set(target ${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR})
  if(M_WITH_SUBDIR)
    get_filename_component(folder ${CMAKE_CURRENT_SOURCE_DIR} NAME)
    set(target ${target}/${folder})
  endif()
  foreach(file ${M_SCRIPTS} ${M_RESOURCES})
    get_filename_component(parent ${file} DIRECTORY)
    install(FILES ${file} DESTINATION ${target}/${parent})
  endforeach()
endfunction()
"""


@pytest.mark.skipif(not (shutil.which("cmake") and shutil.which("c++")), reason="CMake or a compiler is not installed")
def test_the_installed_layout_can_be_imported_and_finds_its_resources(tmp_path):
    package, build, installed = tmp_path / "Slicer", tmp_path / "build", tmp_path / "installed"
    package.mkdir()
    (package / "SlicerConfig.cmake").write_text(SLICER_CONFIG)
    (package / "use.cmake").write_text(SLICER_USE)
    (package / "empty.cmake").write_text("")
    configure = ["cmake", "-S", ROOT, "-B", build, f"-DSlicer_DIR={package}", f"-DCMAKE_INSTALL_PREFIX={installed}"]
    subprocess.run(configure, check=True, capture_output=True, text=True)
    subprocess.run(["cmake", "--install", build], check=True, capture_output=True, text=True)
    modules = installed / "lib" / "qt-scripted-modules"
    assert (modules / "SegAnyPET.py").is_file()
    code = (
        "from SegAnyPETLib.model.resources import resources_folder\n"
        "assert resources_folder().parent.name == 'SegAnyPETLib'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=modules)


if __name__ == "__main__":
    for folder_name in FOLDERS:
        (ROOT / folder_name / "CMakeLists.txt").write_text(written_anew(folder_name), encoding="utf-8")
