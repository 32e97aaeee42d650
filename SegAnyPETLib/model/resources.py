"""Where the files that ship with the library are: beside the package in a checkout, inside it in a wheel."""

from __future__ import annotations

from pathlib import Path

from SegAnyPETLib.errors import SetupError


def resources_folder() -> Path:
    """Folder `Resources` of this installation (model registry, bundled weights).

    Raises:
        SetupError: The installation has none, so it is incomplete.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "Resources", package.parent / "Resources"):
        if (folder / "models.json").is_file():
            return folder
    message = f"Expected Resources/models.json inside or beside {package}, found neither. Install seganypet again."
    raise SetupError(message)
