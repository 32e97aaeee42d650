"""What the engine is doing, in words."""

from slicer.i18n import tr as _


def engineStatus(state, ready):
    """One line for the panel's foot.

    Args:
        state: Of the engine: stopped, starting, ready, working or failed.
        ready: Its `EngineReady`, or None before the model was loaded.
    """
    if state == "ready" and ready is not None:
        if ready.device == "cpu":
            return _("Ready: {model}, on the processor (a GPU would be faster)").format(model=ready.model)
        return _("Ready: {model}, on {device}").format(model=ready.model, device=ready.device)
    return {
        "stopped": _("The model is loaded at the first click"),
        "starting": _("Loading the model..."),
        "working": _("Segmenting..."),
        "ready": _("Ready"),
        "failed": _("The model cannot be used; see Settings"),
    }[state]
