"""The tab Batch, opened, with a person's hands; and a plan for the quick run in place of the real one."""

import json
import sys
from pathlib import Path

FAKE = Path(__file__).with_name("fake_batch.py")
ANSWER_S = 240.0  # of the real model on a busy machine
UNCLEAR = "Two PET series fit: 4 mm and 2 mm. Give a list with one of them."
FAILED = "Expected the injected dose (0018,1074); found none. Ask the scanner's site."
PLAN = {
    "studies": [
        {"source": "/data/a", "lesions": 3},
        {"source": "/data/b", "error": FAILED},
        {"source": "/data/c", "doubts": [UNCLEAR]},
        {"source": "/data/d", "lesions": 1},
        {"source": "/data/e", "problems": ["There is no PET series."]},
    ]
}


class BatchDesk:
    """The tab, opened, with the real command or a quick run in its place."""

    def __init__(self, desk, folder, monkeypatch=None):
        self.desk, self.desktop, self.folder, self.out = desk, desk.desktop, folder, folder / "out"
        self.module = desk.widget.panel
        self.panel, self.ui = self.module.batch, self.module.batch.ui
        self.show()
        if monkeypatch is not None:
            self.use_quick_command(monkeypatch)

    def show(self):
        self.module.ui.tabs.setCurrentWidget(self.module.ui.batchTab)
        self.desktop.process()
        self.panel.tick()

    def use_quick_command(self, monkeypatch):
        self.plan(PLAN)
        import SegAnyPETLib.worker.python_command as commands

        monkeypatch.setattr(commands, "python_command", lambda _module, *rest: [sys.executable, str(FAKE), *rest])

    def plan(self, plan):
        (self.folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")

    def arguments(self):
        return json.loads((self.folder / "arguments.json").read_text(encoding="utf-8"))

    def choose(self, folder="/data"):
        self.desktop.dialogs.answer(folder)
        self.panel.sources.addFolder()
        self.ui.outPath.setCurrentPath(str(self.out))
        self.desktop.process()

    def models(self):
        selector = self.ui.modelSelector
        return [selector.itemText(index) for index in range(selector.count)]

    def choose_model(self, name):
        index = next(index for index, text in enumerate(self.models()) if text.startswith(f"{name}: "))
        self.ui.modelSelector.setCurrentIndex(index)
        self.desktop.process()

    def model_asked_for(self):
        given = self.arguments()
        return given[given.index("--model") + 1]

    def press(self, button):
        self.desktop.press_button(button)

    def wait(self, condition, seconds=30):
        def met():
            self.panel.tick()
            return condition()

        self.desktop.wait_until(met, seconds=seconds)

    def rows(self):
        table = self.ui.studyTable
        return [[table.item(row, column).text() for column in range(3)] for row in range(table.rowCount)]

    def has_ended(self):
        return self.panel.state is not None and bool(self.panel.state.rows) and not self.panel.isRunning

    def run_to_the_end(self):
        self.choose()
        self.press(self.ui.startButton)
        self.wait(self.has_ended)
