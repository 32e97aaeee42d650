"""The bundled model, through real nodes: a control point becomes a segment at its place in the world."""

import numpy as np
import vtk
from fake_engine import FakeEngine
from mrml_nodes import GEOMETRIES, add_volume, geometry, put_under, read_segment

from SegAnyPETLib import load_model
from SegAnyPETLib.mrml import LesionEditor

SHAPE = (44, 52, 60)
RADIUS_MM = 15.0
MOVE = geometry(degrees=(11, 23, -5), spacing=(1, 1, 1), origin=(12.0, -7.0, 3.0))


def test_one_point_segments_a_sphere_in_an_oblique_volume_under_a_transform(a_scene, rng):
    matrix = GEOMETRIES["oblique"]
    ijk = np.indices(SHAPE)[::-1]  # first i, then j, then k
    ras = np.einsum("ab,bkji->akji", matrix[:3, :3], ijk) + matrix[:3, 3, None, None, None]
    centre = matrix @ (31.0, 24.0, 20.0, 1.0)
    distance = np.linalg.norm(ras - centre[:3, None, None, None], axis=0)
    uptake = 1 + 7 / (1 + np.exp((distance - RADIUS_MM) / 1.5)) + 0.05 * rng.standard_normal(SHAPE)
    volume = add_volume(a_scene, uptake.clip(0).astype(np.float32), matrix=matrix, suv="bw")
    world = put_under(a_scene, volume, MOVE) @ centre
    engine = FakeEngine()
    engine.model = load_model("lite", device="cpu")
    editor = LesionEditor(a_scene, engine)
    editor.setVolume(volume)
    editor.addLesion()
    editor.positiveNode.AddControlPointWorld(vtk.vtkVector3d(*world[:3]))

    editor.tick()

    segment = read_segment(editor.segmentationNode, editor.selectedLesion, volume)
    editor.close()
    truth = distance < RADIUS_MM
    assert 2 * (segment & truth).sum() / (segment.sum() + truth.sum()) > 0.85
