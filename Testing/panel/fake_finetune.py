"""The commands the tab Fine-tune starts, without images or training: they answer as told and heed what the panel asks.

Started in place of ``python -m MODULE``; the first argument is the file that says what to do.
"""

from __future__ import annotations

import base64
import csv
import json
import math
import sys
import time
from pathlib import Path

from SegAnyPETLib.finetune.heartbeat import beating
from SegAnyPETLib.finetune.run_progress import ProgressFile, ProgressLine, read_wish

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
HEADER = ("case", "patient", "image", "label", "quality", "split")


def value(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(name) + 1]


def propose(plan: dict, arguments: list[str]) -> int:
    if plan.get("proposal fails"):
        sys.stderr.write(plan["proposal fails"] + "\n")
        return 3
    with Path(value(arguments, "--out")).open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(HEADER)
        for case, patient, quality, split in plan["cases"]:
            writer.writerow([case, patient, f"/site/{case}/pet.nii", f"/site/{case}/label.nii", quality, split])
    sys.stdout.write(json.dumps({"cases": len(plan["cases"]), "notes": plan.get("notes", [])}))
    return 0


def check(plan: dict, arguments: list[str]) -> int:
    time.sleep(plan.get("check seconds", 0))
    folder = Path(value(arguments, "--thumbnails"))
    folder.mkdir()
    page = folder / "page_01.png"
    page.write_bytes(PIXEL)
    names = ("case", "severity", "message", "advice")
    findings = [dict(zip(names, finding, strict=True), kind="told") for finding in plan.get("findings", [])]
    sys.stdout.write(json.dumps({"findings": findings, "thumbnails": [str(page)]}))
    return 3 if any(finding["severity"] == "error" for finding in findings) else 0


def train(plan: dict, arguments: list[str]) -> int:
    out = Path(value(arguments, "--out"))
    if plan.get("training fails"):
        sys.stderr.write(plan["training fails"] + "\n")
        return 3
    with beating(out, every_s=0.05):
        progress, steps = ProgressFile(out), plan.get("steps", 30)
        progress.write(ProgressLine("checking", message="checking 4 cases"))
        (out / "run.json").write_text("{}", encoding="utf-8")
        first = json.loads((out / "reached.json").read_text()) if "--resume" in arguments else 0
        dice = None
        for step in range(first + 1, steps + 1):
            time.sleep(plan.get("seconds", 0.02))
            if step % 5 == 0:
                dice = 0.8 - 0.25 * math.exp(-step / 25)
            wobble = 0.06 * math.sin(11.0 * step) + 0.04 * math.sin(29.0 * step)
            loss = 0.25 + 0.5 * math.exp(-step / 30) + wobble
            line = {"loss": loss, "validation_dice": dice, "seconds_left": 1.6 * (steps - step)}
            if step > steps / 4:
                line |= {"offset_mm": 1.4, "belief": 0.67}
            progress.write(ProgressLine("training", step, steps, **line))
            (out / "reached.json").write_text(str(step), encoding="utf-8")
            if read_wish(out) == "pause":
                progress.write(ProgressLine("paused", step, steps, **line))
            while read_wish(out) == "pause":
                time.sleep(0.02)
            if read_wish(out) == "stop" or step == plan.get("dies at"):
                break
        if step == plan.get("dies at"):
            return 0
        progress.write(ProgressLine("comparing", step, steps, message="comparing on 4 lesions"))
        (out / "card.png").write_bytes(PIXEL)
        (out / "card.json").write_text(json.dumps(plan["card"]), encoding="utf-8")
        progress.write(ProgressLine("done", step, steps, seconds_left=0.0))
    return 0


def main(arguments: list[str]) -> int:
    place, module, *rest = arguments
    plan = json.loads(Path(place).read_text(encoding="utf-8"))
    said = Path(place).with_name("arguments.json")
    said.write_text(json.dumps(rest), encoding="utf-8")
    if module.endswith("estimating"):
        sys.stdout.write(json.dumps({"seconds": plan["times"]}))
        return 0
    commands = {"propose": propose, "check": check}
    return commands[rest[1]](plan, rest) if rest[0] == "cohort" else train(plan, rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
