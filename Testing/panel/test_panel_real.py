"""The panel with the real engine: its process, shared memory and the bundled model."""

import numpy as np
from mrml_nodes import GEOMETRIES, add_volume, read_segment, voxel_centres_lps

SHAPE = (30, 34, 38)
MATRIX = GEOMETRIES["oblique"]


def test_a_click_into_a_hot_ball_finds_the_ball_and_leaving_ends_the_process(a_slicer):
    centres = voxel_centres_lps(MATRIX, SHAPE)
    middle = centres[14, 17, 19]
    ball = np.linalg.norm(centres - middle, axis=-1) <= 14.0
    noise = np.random.default_rng(5).normal(1.0, 0.1, SHAPE)
    volume = add_volume(a_slicer.scene, np.where(ball, 8.0, noise).astype(np.float32), matrix=MATRIX, suv="bw")
    panel = a_slicer.loadModule().panel.segment
    a_slicer.wait_until(lambda: panel.engine.state == "ready", seconds=90)
    a_slicer.press("A")
    a_slicer.view("Red").click(middle * [-1, -1, 1])
    a_slicer.wait_until(lambda: panel.editor.rows and panel.editor.rows[0].state == "ready", seconds=90)
    found = read_segment(panel.editor.segmentationNode, panel.editor.rows[0].segmentID, volume)
    assert 2 * (found & ball).sum() / (found.sum() + ball.sum()) > 0.8
    a_slicer.wait_until(lambda: panel.ui.lesionTable.item(0, 1).text() == "8.00")
    a_slicer.wait_until(lambda: panel.ui.engineLabel.text.startswith("Ready: lite"))
    a_slicer.leaveModule()
    a_slicer.wait_until(lambda: panel.engine.state == "stopped")
