"""How long a person waits: a session of 50 clicks in a PET of 400 x 400 x 400 with the bundled model.

    python Testing/panel/measure_latency.py --json latency.json

The module in the harness of `Testing/desktop` with its real engine; the PET, a body with 30 foci, is made here. The
session is done twice, without and with lesions as surfaces in 3D. Run it on a quiet machine: the table says how busy it
was, and gives the computing time of the graphical thread beside the time that passed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import re
import signal
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "Testing" / "desktop"))

from slicer_desktop import LongestGap  # noqa: E402  it lies in the folder just added

OURS = (f"{REPOSITORY / 'SegAnyPET'}{os.sep}", f"{REPOSITORY / 'SegAnyPETLib'}{os.sep}")
SPACING_MM, BODY_MM = (2.0, 2.0, 2.5), (170.0, 120.0)  # i, j, k; half the width and depth of the body
FOCI, APART_MM = 30, 45.0
CLICKS_PER_LESION = 5
BLOCKED_MS, LOOK_EVERY_MS = 50.0, 5
ANSWER_S, REPAINT_S = 300.0, 5.0


def a_body(size, rng):
    """SUV of a body with foci, and the foci: middle (k, j, i) in voxels and radius in mm."""
    spacing = np.array(SPACING_MM[::-1])
    noise = 1 + 0.2 * rng.standard_normal((64, 64, 64)).astype(np.float32)
    suv = np.tile(noise, [-(-size // 64)] * 3)[:size, :size, :size]
    j, i = np.ogrid[:size, :size]
    suv *= ((i - size / 2) * spacing[2] / BODY_MM[0]) ** 2 + ((j - size / 2) * spacing[1] / BODY_MM[1]) ** 2 <= 1
    np.maximum(suv, 0, out=suv)
    half = np.minimum(np.array([size / 2 * spacing[0] - 60, BODY_MM[1] / 2, BODY_MM[0] / 2]), size / 2 * spacing - 40)
    foci = []
    while len(foci) < FOCI:
        place = rng.uniform(-1, 1, 3) * half
        if all(np.linalg.norm(place - other) > APART_MM for other, _radius in foci):
            foci.append((place, rng.uniform(6, 16)))
    return suv, [(_add_focus(suv, place / spacing + size / 2, radius, rng), radius) for place, radius in foci]


def _add_focus(suv, middle, radius, rng):
    """A ball with a soft rim."""
    spacing = np.array(SPACING_MM[::-1])
    low, high = ((middle + sign * (radius + 10) / spacing).astype(int) for sign in (-1, 1))
    axes = np.ogrid[tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))]
    away = np.sqrt(sum(((axis - m) * s) ** 2 for axis, m, s in zip(axes, middle, spacing, strict=True)))
    part = suv[tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))]
    part += (rng.uniform(5, 15) / (1 + np.exp((away - radius) / 2))).astype(np.float32)
    return middle


@dataclass
class Block:
    """A time in which the event loop did not come round.

    Attributes:
        phase: Of the session.
        ms: How long, and how much of it the views were drawn.
        cpu_ms: Computing time of the graphical thread in it; far less than `ms` where others had the core.
        where: Our own innermost frame each time it was looked at; empty where none of our code was under way.
        stack: All frames the first time.
    """

    phase: str
    ms: float
    drawing_ms: float
    cpu_ms: float
    where: list[str] = field(default_factory=list)
    stack: list[str] = field(default_factory=list)


class LoopWatch(LongestGap):
    """Notes what the graphical thread was doing whenever it took longer than 50 ms.

    An alarm interrupts it every 50 ms; Python answers when it comes back from whatever it called, so that a long call
    of VTK is found at the line that made it. (The watching thread of `faulthandler` reads frames while they change, and
    crashed the study after a minute.) Linux and macOS only.
    """

    def __init__(self, phase):
        super().__init__(interval_ms=LOOK_EVERY_MS)
        self.phase, self.blocks, self._looks = phase, [], []
        self._cpu = time.thread_time()

    def __enter__(self):
        self._cpu = time.thread_time()
        signal.signal(signal.SIGALRM, self._look)
        self.start()
        return self

    def __exit__(self, *_error):
        self.stop()  # looks a last time
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _look(self, _number, frame):
        found = []
        while frame is not None:
            found.append(f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}")
            frame = frame.f_back
        self._looks.append(found)

    def _tick(self):
        super()._tick()
        signal.setitimer(signal.ITIMER_REAL, BLOCKED_MS / 1000, BLOCKED_MS / 1000)
        cpu, self._cpu = 1000 * (time.thread_time() - self._cpu), time.thread_time()
        looks, self._looks = self._looks, []
        if self.gaps_ms[-1] > BLOCKED_MS:
            where = [frame for look in looks for frame in [f for f in look if f.startswith(OURS)][:1]]
            stack = [short(frame) for frame in looks[0]] if looks else []
            block = Block(
                self.phase, self.gaps_ms[-1], self.drawing_ms[-1], cpu, [short(each) for each in where], stack
            )
            self.blocks.append(block)


def short(frame):
    """Paths from the repository on, or just the name of the file."""
    path, _, rest = frame.partition(":")
    inside = path.startswith(str(REPOSITORY)) and ".venv" not in path
    return f"{Path(path).relative_to(REPOSITORY) if inside else Path(path).name}:{rest}"


@dataclass
class Wait:
    """What one act took, in milliseconds.

    Attributes:
        kind: Of the act.
        segment_ms: From the press to the changed segment; None where the answer changed no voxel.
        repaint_ms: From the press to the first slice drawn with it; None where none was.
        answer_ms: From the press to the row that says so.
    """

    kind: str
    segment_ms: float | None
    repaint_ms: float | None
    answer_ms: float


class Person:
    """Clicks the foci one after the other."""

    def __init__(self, desktop, size, rng):
        self.desktop, self.rng = desktop, rng
        self.panel = desktop.loadModule().panel.segment
        self.editor, self.ui = self.panel.editor, self.panel.ui
        self.wait(lambda: self.panel.engine.state == "ready")
        self._size = size
        self.waits = []
        self._changed_at = self._frames = None

    def load(self):
        """Add the volume without choosing it yet."""
        from SegAnyPETLib.geometry import Grid
        from SegAnyPETLib.mrml import addVolumeNode
        from SegAnyPETLib.suv import SUVVolume

        suv, self.foci = a_body(self._size, self.rng)
        suv.setflags(write=False)
        origin = tuple(-n * s / 2 for n, s in zip(suv.shape[::-1], SPACING_MM, strict=True))
        self.grid = Grid(suv.shape, SPACING_MM, origin, ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)))
        self.panel._timer.stop()
        self.volume = addVolumeNode(self.desktop.scene, SUVVolume(suv, self.grid), name="PET 400")
        self.desktop.process(50)

    def choose(self):
        self.panel._timer.start()
        self.wait(lambda: self.editor.volumeNode is self.volume)
        self.wait(lambda: self.panel.engine.state == "ready")
        self.desktop.process(200)

    def session(self, lesions, *, clicks):
        """Click as often, every second lesion with a cursor that has rested there; after each an undo and a redo."""
        done = 0
        for number, (middle, radius) in enumerate(lesions):
            isPrepared = number % 2 == 0
            self.desktop.press("Q")
            for click in range(min(CLICKS_PER_LESION, clicks - done)):
                kind = "later" if click else "first, prepared" if isPrepared else "first, unprepared"
                self.click(kind, *self._aim(middle, radius, click))
                done += 1
            self.measured("undo", lambda: self.desktop.press("Ctrl+Z"))
            self.measured("redo", lambda: self.desktop.press("Ctrl+Y"))
            if done >= clicks:
                return

    def _aim(self, middle, radius, click):
        """Near the middle first, then inside near the rim or, taking away, just outside of it; in the slice."""
        away = 0.1 if click == 0 else 0.7 if click % 2 else 1.4
        angle = self.rng.uniform(0, 2 * np.pi)
        offset = away * radius * np.array([0, np.sin(angle), np.cos(angle)]) / SPACING_MM[::-1]
        left, posterior, superior = self.grid.kji_to_lps(np.rint(middle + offset)).tolist()
        return (-left, -posterior, superior), click == 0 or click % 2 == 1

    def click(self, kind, ras, isPositive):
        view, preferences = self.desktop.view("Red"), self.panel._preferences
        preferences.prepareAhead = kind != "first, unprepared"
        view.moveTo(ras)
        self.desktop.process(120)  # the slice is drawn, and the cursor has told where it rests
        self.wait(lambda: self.panel.engine.state == "ready")
        self.measured(kind, lambda: view.click(ras, modifiers=None if isPositive else "ctrl"))

    def measured(self, kind, act):
        import slicer

        segmentation = self.editor.segmentationNode.GetSegmentation()
        events = (slicer.vtkSegmentation.SourceRepresentationModified, slicer.vtkSegmentation.RepresentationModified)
        tags = [segmentation.AddObserver(event, self._segment_changed) for event in events]
        self._changed_at = self._frames = repainted = None
        before = [row.clicks for row in self.editor.rows]
        started = time.perf_counter()
        act()
        self.wait(lambda: [row.clicks for row in self.editor.rows] != before and not self._is_working())
        answered = time.perf_counter()
        while self._changed_at is not None and repainted is None and time.perf_counter() < answered + REPAINT_S:
            self.desktop.process(1)
            repainted = time.perf_counter() if self._drawn() > self._frames else None
        for tag in tags:
            segmentation.RemoveObserver(tag)
        times = [None if at is None else 1000 * (at - started) for at in (self._changed_at, repainted, answered)]
        self.waits.append(Wait(kind, *times))
        self.desktop.process(150)  # surfaces, measures, what waits

    def _segment_changed(self, *_):
        if self._changed_at is None:
            self._changed_at, self._frames = time.perf_counter(), self._drawn()

    def _drawn(self):
        return sum(self.desktop.view(name).frames for name in ("Red", "Yellow", "Green"))

    def _is_working(self):
        return any(row.state == "working" for row in self.editor.rows)

    def wait(self, condition):
        end = time.monotonic() + ANSWER_S
        while not condition():
            assert time.monotonic() < end, f"still {self.panel.engine.state} after {ANSWER_S} s"
            self.desktop.process(1)


def memory_mib(pid):
    """Resident memory of a process and how much of it is shared; nothing where the system does not tell."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return {}
    found = {name: int(value) / 1024 for name, value in re.findall(r"(VmRSS|VmHWM|RssShmem):\s+(\d+) kB", text)}
    return {"resident": found.get("VmRSS"), "highest": found.get("VmHWM"), "shared image": found.get("RssShmem")}


def measure(desktop, options):
    """The whole study, as plain values."""
    load = os.getloadavg() if hasattr(os, "getloadavg") else None
    from PySide6.QtCore import QSettings

    QSettings().setValue("SegAnyPET/device", options.device)
    person = Person(desktop, options.size, np.random.default_rng(7))
    person.load()
    phases = [("choosing the volume", person.choose)]
    half = len(person.foci) // 2
    for name, lesions in (("surfaces off", person.foci[:half]), ("surfaces on", person.foci[half:])):
        phases.append((name, lambda lesions=lesions: person.session(lesions, clicks=options.clicks)))
    loops, waits, blocks = {}, {}, []
    for name, act in phases:
        if person.ui.surfaceButton.checked != (name == "surfaces on"):
            desktop.press_button(person.ui.surfaceButton)
        person.waits = []
        with LoopWatch(name) as watch:
            act()
        loops[name] = {"longest_ms": watch.longest_ms, "longest_without_drawing_ms": watch.longest_without_drawing_ms}
        waits[name] = [asdict(wait) for wait in person.waits]
        blocks += watch.blocks
    child = getattr(person.panel.engine, "_child", None)
    ready = person.editor.engineReady
    return {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": len(os.sched_getaffinity(0)),
            "load_before": load,
            "load_after": os.getloadavg(),
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
            "python": platform.python_version(),
            "model": ready.model,
            "device": ready.device,
        },
        "volume": {"shape": [options.size] * 3, "spacing_mm": SPACING_MM, "foci": FOCI},
        "loops": loops,
        "waits": waits,
        "blocks": [asdict(block) for block in blocks],
        "memory_mib": {"application": memory_mib(os.getpid()), "engine": memory_mib(child.pid) if child else {}},
    }


def as_text(found):
    """The study as tables."""
    machine, volume = found["machine"], found["volume"]
    lines = [f"{machine['model']} on {machine['device']}, {machine['cores']} cores, load {machine['load_before']} to "
             f"{machine['load_after']}, PET {volume['shape']} of {volume['spacing_mm']} mm, {volume['foci']} foci", "",
             f"{'from the press, ms':34}{'acts':>5}{'segment':>16}{'repaint':>16}{'row':>16}",
             f"{'':39}" + f"{'median':>9}{'95 %':>7}" * 3]  # fmt: skip
    for phase, waits in found["waits"].items():
        for kind in dict.fromkeys(wait["kind"] for wait in waits):
            some = [wait for wait in waits if wait["kind"] == kind]
            cells = "".join(_two([w[name] for w in some]) for name in ("segment_ms", "repaint_ms", "answer_ms"))
            lines.append(f"{phase + ': ' + kind:34}{len(some):>5}{cells}")
    lines += ["", f"{'longest gap of the event loop, ms':34}{'all':>8}{'without drawing':>18}"]
    for phase, loop in found["loops"].items():
        lines.append(f"{phase:34}{loop['longest_ms']:8.0f}{loop['longest_without_drawing_ms']:18.0f}")
    lines += ["", f"Blocked over {BLOCKED_MS:.0f} ms by our code, with what was drawn and computed in it:"]
    for block in sorted(found["blocks"], key=lambda each: -each["cpu_ms"]):
        if block["where"]:
            times = f"{block['ms']:6.0f} ms, drawing {block['drawing_ms']:.0f}, computing {block['cpu_ms']:.0f}"
            lines.append(f"  {block['phase']}: {times}: {' | '.join(dict.fromkeys(block['where']))}")
    others = [block for block in found["blocks"] if not block["where"]]
    lines.append(
        f"  and {len(others)} times without our code under way, {max((b['ms'] for b in others), default=0):.0f} ms"
    )
    lines.append("")
    for name, each in found["memory_mib"].items():
        lines.append(f"Memory of the {name}: " + ", ".join(f"{n} {v:.0f} MiB" for n, v in each.items() if v))
    return "\n".join(lines)


def _two(values):
    known = [value for value in values if value is not None]
    return f"{np.median(known):9.0f}{np.percentile(known, 95):7.0f}" if known else f"{'-':>9}{'-':>7}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clicks", type=int, default=50, help="in each of the two sessions")
    parser.add_argument("--size", type=int, default=400, help="voxels along each side of the PET")
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda ...")
    parser.add_argument("--json", type=Path, help="also write everything, with the stacks, to this file")
    options = parser.parse_args()
    from slicer_desktop import running_slicer

    with contextlib.ExitStack() as stack:
        monkeypatch = stack.enter_context(pytest.MonkeyPatch.context())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        found = measure(stack.enter_context(running_slicer(monkeypatch, folder)), options)
        sys.stdout.write(as_text(found) + "\n")
        if options.json is not None:
            options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
