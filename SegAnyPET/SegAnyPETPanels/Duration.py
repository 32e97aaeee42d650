"""Times in words."""

from slicer.i18n import tr as _


def duration(seconds):
    """A time in words, as exact as anybody needs it."""
    if seconds < 59.5:
        return _("{number} s").format(number=round(seconds))
    if seconds < 3570:
        return _("{number} min").format(number=round(seconds / 60))
    hours, minutes = divmod(round(seconds / 60), 60)
    return _("{hours} h {minutes} min").format(hours=hours, minutes=minutes)
