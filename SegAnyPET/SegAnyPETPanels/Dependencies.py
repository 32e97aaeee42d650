"""The Python packages the engine needs: which are missing, and installing them after the user agreed.

Only on the main thread and only when asked: pip opens dialogs, and an installation behind the user's back may break
other extensions. torch comes through the PyTorch extension, which knows the build for the graphics card.
"""

from subprocess import CalledProcessError

from slicer.i18n import tr as _

from SegAnyPETLib.errors import SetupError

TORCH_VERSIONS = ">=2.6"
# Slicer brings these along; replacing them with pip has stopped Slicer from starting.
NEVER_REPLACED = ["SimpleITK", "numpy", "torch"]
NAME = "SegAnyPET"


def requirements():
    """Every requirement as text, torch first."""
    import slicer.packaging

    from SegAnyPETLib.model.resources import resources_folder

    listed = slicer.packaging.load_requirements(str(resources_folder() / "requirements.txt"))
    return [f"torch{TORCH_VERSIONS}", *(str(each) for each in listed)]


def missing():
    """The requirements that are not met.

    Raises:
        SetupError: This Slicer is too old to install packages.
    """
    try:
        import slicer.packaging
    except ImportError as error:
        msg = _("Slicer 5.12 or newer is needed; this one has no slicer.packaging. Install a newer Slicer.")
        raise SetupError(msg) from error
    return [each for each in requirements() if not slicer.packaging.pip_check(each)]


def install():
    """Install what is missing; Slicer asks the user first.

    Returns:
        True when everything is there now; False when the user declined.

    Raises:
        SetupError: The PyTorch extension is missing, or an installation failed.
    """
    wanted = missing()
    if any(each.startswith("torch") for each in wanted) and not _installTorch():
        return False
    others = [each for each in wanted if not each.startswith("torch")]
    return not others or _installPackages(others)


def _installTorch():
    try:
        import PyTorchUtils
    except ImportError as error:
        msg = _(
            "The extension PyTorch is needed, which installs torch. Open the Extensions Manager, install PyTorch, and "
            "restart Slicer; the set-up then goes on."
        )
        raise SetupError(msg, restart_required=True) from error
    with _pipErrors():
        logic = PyTorchUtils.PyTorchUtilsLogic()
        return logic.installTorch(askConfirmation=True, torchVersionRequirement=TORCH_VERSIONS) is not None


def _installPackages(wanted):
    import slicer.packaging

    with _pipErrors():
        try:
            slicer.packaging.pip_ensure(wanted, skip_packages=NEVER_REPLACED, requester=NAME)
        except RuntimeError:  # slicer.packaging's word for "the user declined"
            return False
    return True


class _pipErrors:  # noqa: N801  used like a function
    """A failed installation as an error that says what to do."""

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _traceback):
        if isinstance(error, CalledProcessError):
            msg = _(
                "The installation failed. Check the internet connection and that Slicer's folder can be written, "
                "restart Slicer, and try again. What pip said is in Slicer's error log."
            )
            raise SetupError(msg, restart_required=True) from error
        return False
