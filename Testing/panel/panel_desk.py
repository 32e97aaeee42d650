"""What a test of the panel holds: Slicer with the module open on a PET, and an engine that answers at the next tick."""

from __future__ import annotations

import numpy as np
from fake_engine import FakeEngine
from mrml_nodes import GEOMETRIES, add_volume, read_segment, voxel_centres_lps

SHAPE = (22, 26, 30)
RADIUS_MM = 12.0
MATRIX = GEOMETRIES["oblique"]


class PanelEngine(FakeEngine):
    """The fake engine with the life of the real one: stopped, ready, working, failed."""

    def __init__(self, *, model, device, cube=None):
        super().__init__(radius_mm=RADIUS_MM, cube=cube)
        self.wanted = (model, device)
        self.hasFailed = self.isAwake = self.isClosed = False

    @property
    def state(self):
        if self.hasFailed:
            return "failed"
        if self._waiting:
            return "working"
        return "ready" if self.isAwake else "stopped"

    def start(self):
        self.isAwake, self.hasFailed = True, False

    def predict(self, lesion, prompts, *, shown=None):
        self.isAwake = True
        return super().predict(lesion, prompts, shown=shown)

    def rest(self):
        self.isAwake = False

    def close(self):
        self.isClosed = True


def a_pet(scene, *, suv="bw", name="PET", matrix=MATRIX):
    """Noise between SUV 0 and 12, which nothing but an SUV image holds."""
    values = 12 * np.random.default_rng(7).random(SHAPE, dtype=np.float32)
    return add_volume(scene, values, matrix=matrix, name=name, suv=suv)


class PanelDesk:
    """The open module.

    Attributes:
        desktop: The harness.
        volume: The PET, or None where the test brings its own.
        panel: The tab Segment.
    """

    def __init__(self, desktop, engines, *, volume=True):
        self.desktop, self.engines = desktop, engines
        self.volume = a_pet(desktop.scene) if volume else None
        self.widget = desktop.loadModule()
        self.panel, self.settings = self.widget.panel.segment, self.widget.panel.settings
        self.ui = self.panel.ui

    @property
    def engine(self):
        return self.engines[-1]

    @property
    def editor(self):
        return self.panel.editor

    def ras(self, kji):
        """World RAS of a voxel of the volume, by a formula of its own."""
        return voxel_centres_lps(MATRIX, SHAPE)[tuple(kji)] * [-1, -1, 1]

    def click(self, kji, *, view="Red", **options):
        """Click into a slice and wait until the table has the answer."""
        self.desktop.view(view).click(self.ras(kji), **options)
        self.wait()

    def wait(self):
        self.desktop.process(2)
        self.desktop.wait_until(lambda: self.engine.state != "working" and not self.engine.events)
        self.panel.tick()
        self.desktop.process()

    def press(self, key):
        self.desktop.press(key)
        self.wait()

    def cells(self, row=0):
        """The texts of a row of the table."""
        table = self.ui.lesionTable
        return [table.item(row, column).text() for column in range(table.columnCount)]

    def mask(self, row=0):
        """The segment of a row, by Slicer's own export."""
        return read_segment(self.editor.segmentationNode, self.editor.rows[row].segmentID, self.volume)
