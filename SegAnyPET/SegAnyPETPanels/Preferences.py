"""What the user prefers on this computer, kept in Slicer's application settings."""

import secrets

import qt
import slicer

GROUP = "SegAnyPET"
DEVICES = ("auto", "cpu", "cuda", "cuda:1", "mps")  # in the order of the panel's list
METHODS, PRESETS = ("cpcl", "plain", "hq"), ("quick", "balanced", "thorough")  # in the order of the panel's lists
WEIGHTS_FILE = "file"  # stands for "the file in weightsFile" where a model's name is kept


class Preferences:
    """Read and written one by one; a damaged value counts as the default."""

    def __init__(self):
        """Read nothing yet."""
        self._defaultModel = ""  # as it was first asked for: what Slicer works with does not change unasked

    @property
    def modelName(self):
        """Registered name of the model, or `WEIGHTS_FILE`; until one is chosen here, the default of the commands."""
        return self._value("model", "") or self._defaultOfCommands()

    @modelName.setter
    def modelName(self, name):
        self._write("model", name)

    @property
    def weightsFile(self):
        """Path of a weights file of the user's own; empty where none was chosen."""
        return self._value("weightsFile", "")

    @weightsFile.setter
    def weightsFile(self, path):
        self._write("weightsFile", path)

    @property
    def model(self):
        """What the engine is asked to load: a registered name or a path."""
        chosen = self.weightsFile if self.modelName == WEIGHTS_FILE else self.modelName
        return chosen or self._defaultOfCommands()

    @property
    def device(self):
        """Where to compute: one of `DEVICES`."""
        return self._choice("device", DEVICES)

    @device.setter
    def device(self, name):
        self._write("device", name)

    @property
    def idleMinutes(self):
        """After how many minutes without a click the model gives back its memory."""
        found = self._value("idleMinutes", "10")
        return int(found) if str(found).isdigit() and int(found) > 0 else 10

    @idleMinutes.setter
    def idleMinutes(self, minutes):
        self._write("idleMinutes", minutes)

    @property
    def prepareAhead(self):
        """Whether the place under the cursor is looked at before the click."""
        return slicer.util.toBool(self._value("prepareAhead", True))

    @prepareAhead.setter
    def prepareAhead(self, wanted):
        self._write("prepareAhead", bool(wanted))

    @property
    def batchFolder(self):
        """Where the last run's results went; empty before the first."""
        return self._value("batchFolder", "")

    @batchFolder.setter
    def batchFolder(self, path):
        self._write("batchFolder", path)

    @property
    def batchFormats(self):
        """Names of the files a run writes for each study; empty for the usual ones."""
        return tuple(name for name in str(self._value("batchFormats", "")).split(" ") if name)

    @batchFormats.setter
    def batchFormats(self, names):
        self._write("batchFormats", " ".join(names))

    @property
    def batchRule(self):
        """How a run finds lesions: the name of an entry of the panel's list."""
        return self._value("batchRule", "")

    @batchRule.setter
    def batchRule(self, name):
        self._write("batchRule", name)

    @property
    def batchThreshold(self):
        """SUV above which foci are looked at."""
        try:
            found = float(self._value("batchThreshold", "4"))
        except ValueError:
            return 4.0
        return found if 0 < found < 1000 else 4.0

    @batchThreshold.setter
    def batchThreshold(self, suv):
        self._write("batchThreshold", suv)

    @property
    def fineTuneFolder(self):
        """Where the last fine-tuning's results went; empty before the first."""
        return self._value("fineTuneFolder", "")

    @fineTuneFolder.setter
    def fineTuneFolder(self, path):
        self._write("fineTuneFolder", path)

    @property
    def fineTuneMethod(self):
        """How the model is fine-tuned: one of `METHODS`."""
        return self._choice("fineTuneMethod", METHODS)

    @fineTuneMethod.setter
    def fineTuneMethod(self, name):
        self._write("fineTuneMethod", name)

    @property
    def fineTunePreset(self):
        """How much time fine-tuning takes: one of `PRESETS`."""
        return self._choice("fineTunePreset", PRESETS)

    @fineTunePreset.setter
    def fineTunePreset(self, name):
        self._write("fineTunePreset", name)

    @property
    def patientSecret(self):
        """What codes of patients depend on: random, made at the first use, never leaves this computer."""
        known = self._value("patientSecret", "")
        if not known:
            known = secrets.token_hex(16)
            self._write("patientSecret", known)
        return known

    @property
    def setupPending(self):
        """Whether a set-up that the user agreed to was interrupted by a restart."""
        return slicer.util.toBool(self._value("setupPending", False))

    @setupPending.setter
    def setupPending(self, pending):
        self._write("setupPending", bool(pending))

    def _defaultOfCommands(self):
        """The model that `seganypet models use` chose; the word for it, which no engine takes, where that is gone."""
        from SegAnyPETLib.errors import ModelError
        from SegAnyPETLib.model import default_model
        from SegAnyPETLib.model.site_models import DEFAULT_WORD

        if not self._defaultModel:
            try:
                self._defaultModel = default_model()
            except ModelError:  # the engine and the commands say what is wrong with it and what to do
                return DEFAULT_WORD
        return self._defaultModel

    def _choice(self, name, choices):
        """One of the choices; the first for anything else."""
        found = self._value(name, choices[0])
        return found if found in choices else choices[0]

    def _value(self, name, default):
        return slicer.util.settingsValue(f"{GROUP}/{name}", default)

    def _write(self, name, value):
        qt.QSettings().setValue(f"{GROUP}/{name}", value)
