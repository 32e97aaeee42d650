"""The cohort: its list of cases as the person wants it, and what the checker says of each.

Finding and checking open every image, so a process of its own does both. The list is changed in memory and written only
where the person wants it; the folders of the cases are never written to.
"""

import tempfile
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

from slicer.i18n import tr as _

from SegAnyPETLib.errors import InputError, SegAnyPETWarning
from SegAnyPETPanels.DetachedProcess import JSONCommand

SPLIT_SEED = 1  # the same cohort is split the same way again
LIST_NAME, PICTURES = "cohort.csv", "pictures"


@dataclass(frozen=True)
class CaseLine:
    """One row.

    Attributes:
        key: The case.
        patient: Whose case it is.
        quality: HQ or LQ.
        split: train, validation or test.
        findings: What the checker said: triples of severity, message and advice, the worst first.
        isChecked: The checker has seen this case.
        picture: Path of the page of pictures it is on; empty where there is none.
        place: Path of its image, for the tool tip.
    """

    key: str
    patient: str
    quality: str
    split: str
    findings: tuple = ()
    isChecked: bool = False
    picture: str = ""
    place: str = ""

    @property
    def worst(self):
        """error, warning, note, or nothing."""
        return self.findings[0][0] if self.findings else ""


class FineTuneCases:
    """One list at a time."""

    def __init__(self):
        """Have no cases yet."""
        self.manifest = self._checked = None
        self.path = ""  # of the list, as it was read or written; empty for one that is not on disk
        self.isChanged = False  # since then
        self._findings, self._pictures = {}, {}
        self._command, self._scratch, self._task = JSONCommand(), None, ""

    @property
    def isBusy(self):
        """Whether cases are being found or checked."""
        return self._command.isRunning

    @property
    def doing(self):
        """What is going on, in words."""
        return {
            "propose": _("Looking for cases: each image and label is opened..."),
            "check": _("Checking the cases: each is opened and compared with the others..."),
        }.get(self._task, "")

    @property
    def isChecked(self):
        """Whether the checker has seen the list as it is now."""
        return self.manifest is not None and self._checked == self.manifest

    @property
    def ofAll(self):
        """What the checker said of all cases together, as it says it of a row; nothing once the list was changed."""
        from SegAnyPETLib.finetune.cohort.findings import WHOLE_COHORT

        return self._findings.get(WHOLE_COHORT, ()) if self.isChecked else ()

    @property
    def lines(self):
        """Rows of the table."""
        if self.manifest is None:
            return ()
        seen = {entry.case for entry in self._checked.entries} if self._checked is not None else set()
        return tuple(
            CaseLine(
                entry.case,
                entry.patient,
                entry.quality,
                entry.split,
                self._findings.get(entry.case, ()),
                entry.case in seen,
                self._pictures.get(entry.case, ""),
                str(entry.image),
            )
            for entry in self.manifest.entries
        )

    def count(self, **wanted):
        """How many cases have these values, for example ``split="train"``."""
        entries = self.manifest.entries if self.manifest is not None else ()
        return sum(all(getattr(entry, name) == value for name, value in wanted.items()) for entry in entries)

    def look(self, path):
        """Take a list that was written before; its images are not opened.

        Args:
            path: Of the manifest (CSV).

        Returns:
            What is odd about it, in words; empty where nothing is.

        Raises:
            InputError: It is no manifest.
        """
        from SegAnyPETLib.finetune.cohort.manifest import read_manifest

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", SegAnyPETWarning)
            manifest = read_manifest(path)
        self.takeManifest(manifest, path=str(path))
        return " ".join(str(warning.message) for warning in caught)

    def takeManifest(self, manifest, *, path=""):
        """Show another list.

        Args:
            manifest: A `Manifest`.
            path: Where it is on disk; empty where it is not.
        """
        self.stop()
        self.manifest, self.path, self.isChanged = manifest, path, not path
        self._checked, self._findings, self._pictures = None, {}, {}

    def find(self, folder, images=()):
        """Look for cases below a folder, in a process of its own.

        Args:
            folder: With PET and labels, or of a batch run.
            images: Folders with the PET of that run.

        Raises:
            OSError: The process cannot be started.
        """
        scratch = self._newScratch()
        places = [word for place in images for word in ("--images", str(place))]
        self._start("propose", [str(folder), "--out", str(scratch / LIST_NAME), *places, "--json", "--quiet"])

    def check(self):
        """Open and compare all cases, in a process of its own.

        Raises:
            OSError: The process cannot be started, or the list not be handed to it.
        """
        scratch = self._newScratch()
        self.writeCopy(scratch / LIST_NAME)
        self._asked = self.manifest
        self._start("check", [str(scratch / LIST_NAME), "--json", "--quiet", "--thumbnails", str(scratch / PICTURES)])

    def poll(self):
        """Why cases could not be found or checked, once that ended, or an empty text; None while there is no news."""
        told = self._command.poll()
        if told is None:
            return None
        task, self._task = self._task, ""
        answer, problem = told
        if task == "propose":
            return problem or self._takeProposed(answer)
        if not isinstance(answer, dict):
            return problem
        self._takeChecked(answer)
        return ""  # the command fails where a case has an error, which is what was asked for

    def change(self, cases, *, quality=None, split=None):
        """Change the quality or the split of some cases.

        Args:
            cases: Their names.
            quality: HQ or LQ; None for no change.
            split: train, validation or test; None for no change.
        """
        wanted = {name: value for name, value in (("quality", quality), ("split", split)) if value is not None}
        entries = [replace(entry, **wanted) if entry.case in cases else entry for entry in self.manifest.entries]
        self._put(replace(self.manifest, entries=tuple(entries)))

    def remove(self, cases):
        """Take cases out of the list; their files are not touched.

        Args:
            cases: Their names.
        """
        entries = tuple(entry for entry in self.manifest.entries if entry.case not in cases)
        if entries:
            self._put(replace(self.manifest, entries=entries))
        else:
            self.stop()
            self.manifest, self.path, self.isChanged, self._checked = None, "", False, None

    def splitAnew(self):
        """Draw which patients are for training and which for validation; no case is opened.

        Returns:
            What the person should know of it, in words.
        """
        self._put(splitByPatient(self.manifest))
        return " ".join(self.manifest.notes)

    def save(self, path):
        """Write the list.

        Args:
            path: Of the table (CSV).

        Raises:
            OutputError: It cannot be written.
        """
        self.writeCopy(Path(path))
        self.path, self.isChanged = str(path), False

    def writeCopy(self, path):
        """Write the list somewhere without calling it saved.

        Args:
            path: Of the table (CSV).

        Raises:
            OutputError: It cannot be written.
        """
        from SegAnyPETLib.finetune.cohort.manifest import write_manifest

        write_manifest(self.manifest, path)

    def stop(self):
        """End finding or checking; the thumbnails go."""
        self._command.stop()
        self._task, self._pictures = "", {}
        if self._scratch is not None:
            self._scratch.cleanup()
        self._scratch = None

    def _put(self, manifest):
        if manifest != self.manifest:
            self.manifest, self.isChanged = manifest, True

    def _start(self, action, arguments):
        self._command.start(["cohort", action, *arguments])
        self._task = action

    def _newScratch(self):
        self.stop()
        self._scratch = tempfile.TemporaryDirectory(prefix="SegAnyPET-")
        return Path(self._scratch.name)

    def _takeProposed(self, answer):
        try:
            odd = self.look(Path(self._scratch.name) / LIST_NAME)
        except InputError as error:
            return str(error)
        self.path, self.isChanged = "", True
        notes = answer.get("notes", []) if isinstance(answer, dict) else []
        return " ".join([*(str(note) for note in notes), odd]).strip()

    def _takeChecked(self, answer):
        found = {}
        for finding in answer.get("findings", []):
            said = (finding["severity"], finding["message"], finding["advice"])
            found.setdefault(finding["case"], []).append(said)
        order = ("error", "warning", "note")
        self._findings = {
            case: tuple(sorted(said, key=lambda one: order.index(one[0]) if one[0] in order else len(order)))
            for case, said in found.items()
        }
        self._checked = self._asked
        self._pictures = pagesOf([entry.case for entry in self._asked.entries], answer.get("thumbnails", []))


def splitByPatient(manifest):
    """The same cases with splits drawn by patient, without opening them: all lesions count as of one size."""
    from SegAnyPETLib.finetune.cohort.splits import propose_splits

    volumes = {entry.case: 1.0 for entry in manifest.entries}
    return propose_splits(manifest, seed=SPLIT_SEED, volumes_ml=volumes)


def pagesOf(cases, pages):
    """Which page of pictures each case is on.

    Args:
        cases: In the order they were drawn.
        pages: Paths, in their order.
    """
    from SegAnyPETLib.finetune.cohort.thumbnails import CASES_ON_A_PAGE

    numbers = {case: number // CASES_ON_A_PAGE for number, case in enumerate(cases)}
    return {case: pages[number] for case, number in numbers.items() if number < len(pages)}
