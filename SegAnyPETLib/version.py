"""The version, written here once: Slicer runs this folder without installing it, so no metadata may be there."""

__version__ = "0.1.0"
