"""The tab Fine-tune, opened, with a person's hands; and a plan for the quick commands in place of the real ones."""

import json
import sys
import time
from pathlib import Path

FAKE = Path(__file__).with_name("fake_finetune.py")
ANSWER_S = 600.0  # of a real training on a busy machine
EMPTY, ADVICE = "its label is empty", "Draw the lesions, or remove the case."
REASON = "Becomes the default: on the validation cases Dice changed by +0.050 [+0.020, +0.080]."
PLAN = {
    "cases": [
        ("a", "p1", "HQ", "train"),
        ("b", "p2", "HQ", "train"),
        ("c", "p3", "HQ", "train"),
        ("d", "p4", "LQ", "train"),
        ("e", "p5", "HQ", "validation"),
    ],
    "findings": [("b", "error", EMPTY, ADVICE), ("d", "warning", "its label is 12 mm off", "Look at it.")],
    "times": {"quick": 70.0, "balanced": 240.0, "thorough": 5400.0},
    "card": {"name": "lite-cpcl-1", "decision": {"becomes_default": True, "reason": REASON, "caution": ""}},
}


class FineTuneDesk:
    """The tab, opened, with quick commands in place of the real ones."""

    def __init__(self, desk, folder, monkeypatch=None):
        self.desk, self.desktop, self.folder, self.out = desk, desk.desktop, folder, folder / "out"
        self.module = desk.widget.panel
        self.panel, self.ui = self.module.fineTune, self.module.fineTune.ui
        self.module.ui.tabs.setCurrentWidget(self.module.ui.fineTuneTab)
        self.desktop.process()
        self.panel.tick()
        if monkeypatch is not None:
            monkeypatch.setenv("SEGANYPET_HOME", str(folder / "home"))
            self.plan()
            import SegAnyPETLib.worker.python_command as commands

            command = [sys.executable, str(FAKE), str(folder / "plan.json")]
            monkeypatch.setattr(commands, "python_command", lambda module, *rest: [*command, module, *rest])

    def plan(self, **changes):
        (self.folder / "plan.json").write_text(json.dumps({**PLAN, **changes}), encoding="utf-8")

    def arguments(self):
        return json.loads((self.folder / "arguments.json").read_text(encoding="utf-8"))

    def find(self):
        self.desktop.dialogs.answer("/site")
        self.panel.cohort.sources.chooseFolder()
        self.wait(lambda: not self.panel.cohort.isBusy)
        self.desktop.process()

    def check(self):
        self.press(self.ui.checkButton)
        self.wait(lambda: not self.panel.cohort.isBusy)

    def press(self, button):
        self.desktop.press_button(button)

    def wait(self, condition, seconds=30):
        def met():
            if seconds == ANSWER_S:
                time.sleep(0.2)  # the real commands need the processor
            self.panel.tick()
            return condition()

        self.desktop.wait_until(met, seconds=seconds)

    def rows(self):
        table = self.ui.caseTable
        return [[table.item(row, column).text() for column in range(4)] for row in range(table.rowCount)]

    def choose(self, *cases):
        table = self.ui.caseTable
        table.clearSelection()
        for row, cells in enumerate(self.rows()):
            if cells[0] in cases:
                for column in range(4):
                    table.item(row, column).setSelected(True)

    def menu(self, button, text):
        """Choose from a button's menu."""
        action = next(action for action in button.menu().actions() if action.text == text)
        action.trigger()
        self.panel.tick()

    def ready(self):
        self.find()
        self.ui.outPath.setCurrentPath(str(self.out))
        self.desktop.process()

    def started(self):
        self.ready()
        self.press(self.ui.startButton)

    def has_ended(self):
        return self.panel.state is not None and self.panel.state.hasEnded


def enabled(ui, *names):
    return [name for name in names if getattr(ui, f"{name}Button").enabled]
