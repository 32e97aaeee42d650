"""Colours of rows that say how something is: over the table's own colour, so that text stays readable in any style."""

import qt

# Red, green, blue, and how much of it.
TINTS = {
    "good": (47, 158, 87, 60),
    "bad": (210, 80, 75, 75),
    "busy": (58, 143, 214, 50),
    "doubtful": (224, 142, 30, 65),
}


def tint(name):
    """The brush of a tint; none for a name that has no colour.

    Args:
        name: Out of `TINTS`, or anything else.
    """
    return qt.QBrush(qt.QColor(*TINTS[name])) if name in TINTS else qt.QBrush()
