import pytest


def test_slicer_core_is_the_package_named_slicer():
    slicer = pytest.importorskip("slicer", reason="no slicer-core: pip install slicer-core==5.12.4.0")
    if not hasattr(slicer, "__file__") or slicer.__file__ is None:
        pytest.skip("no slicer-core: pip install slicer-core==5.12.4.0")
    # An unrelated package `slicer` (a dependency of shap) overwrites slicer-core's; never install both.
    assert hasattr(slicer, "vtkMRMLSegmentationNode")
