"""A list of the models whose weights are on this computer."""


class ModelChoice:
    """A QComboBox of models; what is chosen stays chosen while the models are listed anew."""

    def __init__(self, selector):
        """Take over a list, a QComboBox."""
        self._selector = selector
        self._names = ()

    @property
    def name(self):
        """What is chosen, by name; empty where nothing is."""
        index = self._selector.currentIndex
        return self._names[index] if 0 <= index < len(self._names) else ""

    def offer(self, chosen, *, before=()):
        """List the models that are here now; nobody is told of the change.

        Args:
            chosen: Name of the one to choose; the first entry is chosen where it is not in the list.
            before: Pairs of a name and a text, for entries above the models.
        """
        from SegAnyPETLib.model import list_models

        models = [model.spec for model in list_models() if model.origin != "absent"]
        entries = [*before, *((spec.name, f"{spec.name}: {spec.title}") for spec in models)]
        self._names = tuple(name for name, _text in entries)
        blocked = self._selector.blockSignals(True)
        self._selector.clear()
        for _name, text in entries:
            self._selector.addItem(text)
        self._selector.setCurrentIndex(self._names.index(chosen) if chosen in self._names else 0)
        self._selector.blockSignals(blocked)
