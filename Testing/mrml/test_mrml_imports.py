import subprocess
import sys

# What the desktop does not bring (5.12): the panel must open and say what is missing.
NOT_IN_SLICER = ("torch", "monai", "nrrd", "safetensors", "huggingface_hub", "matplotlib", "tqdm", "openvino")


def test_mrml_imports_with_only_what_slicer_brings():
    code = f"""
import importlib.abc, sys


class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {NOT_IN_SLICER!r}:
            raise ModuleNotFoundError(name, name=name)


sys.meta_path.insert(0, Absent())
import SegAnyPETLib.mrml
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
