"""The one line that says what to do next."""

from slicer.i18n import tr as _


def nextStep(*, hasVolume, isRefused, needsSetup, placing, row):
    """What the person should do now.

    Args:
        hasVolume: A volume is chosen and can be segmented.
        isRefused: A volume is chosen and cannot.
        needsSetup: Packages are missing.
        placing: True while clicks add, False while they take away, None while they do neither.
        row: The chosen lesion's `LesionRow`, or None.

    Returns:
        Name of an icon, and the text.
    """
    if isRefused:
        return "Warning", _("This volume cannot be segmented yet; see above.")
    if not hasVolume:
        return "Hint", _("Load a PET, for example with Slicer's DICOM module, or try the phantom study.")
    if needsSetup:
        return "Hint", _("First install what is missing: press Set up.")
    if row is not None and row.state == "failed":
        return "Warning", row.message
    if placing is None:
        return "Hint", _("Press Add (A), then click a lesion in any view.")
    if row is None or (row.state == "empty" and not row.clicks):
        text = _("Click in the middle of a lesion.") if placing else _("Click where nothing belongs to the lesion.")
        return "Add" if placing else "TakeAway", text
    if row.state == "empty":
        return "Warning", _("The model found no lesion at these clicks. Click in the middle of the lesion, or undo.")
    return _correction(placing, hasHint=row.hint is not None)


def _correction(placing, *, hasHint):
    text = _("Click what is missing; Ctrl+click what is too much. Next lesion: Q. Stop: Esc.")
    if not placing:
        text = _("Click what is too much. Add again: A. Next lesion: Q. Stop: Esc.")
    if hasHint:
        text += " " + _("Least sure place: W.")
    return "Add" if placing else "TakeAway", text
