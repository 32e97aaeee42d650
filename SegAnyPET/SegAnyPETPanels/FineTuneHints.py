"""The lines of the tab Fine-tune that say what is going on, what to do next, and what the labels seem to be worth."""

from slicer.i18n import tr as _

from SegAnyPETPanels.Duration import duration

SMALLEST_OFFSET_MM = 0.05  # shown as 0.0
HALF_BELIEVED, MOSTLY_BELIEVED, WHOLLY_BELIEVED = 0.2, 0.6, 0.995


def casesText(cases):
    """What the list of cases is like, and what to do next.

    Args:
        cases: The `FineTuneCases`, with at least one case.

    Returns:
        Name of an icon, and the text.
    """
    text = _("{count} cases: {careful} careful and {careless} careless for training, {validation} to validate.")
    text = text.format(
        count=len(cases.lines),
        careful=cases.count(split="train", quality="HQ"),
        careless=cases.count(split="train", quality="LQ"),
        validation=cases.count(split="validation"),
    )
    errors = sum(line.worst == "error" for line in cases.lines)
    warnings = sum(line.worst == "warning" for line in cases.lines)
    if not cases.isChecked:
        return "Hint", text + " " + _("Press Check cases.")
    if errors:
        advice = _("{count} have errors, which spoil the training: correct their files, or remove them from the list.")
        return "Warning", text + " " + advice.format(count=errors)
    if not cases.count(split="validation"):
        return "Warning", text + " " + _("Without cases to validate nobody will know whether the model became better.")
    if warnings:
        return "Warning", text + " " + _("Look at {count} of them, then press Start.").format(count=warnings)
    return "Hint", text + " " + _("Press Start.")


def checkedText(cases):
    """What the checker said of all cases together, in its own words; empty where that is nothing.

    Args:
        cases: The `FineTuneCases`.
    """
    return " ".join(f"{message[:1].upper()}{message[1:]}. {advice}" for _severity, message, advice in cases.ofAll)


def runText(state):
    """How a run is doing.

    Args:
        state: A `TrainingState`.

    Returns:
        Name of an icon, and the text.
    """
    if not state.isAlive:
        return _endedText(state)
    where = _where(state)
    if state.wish == "stop":
        return "Waiting", where + _("Stopping: the best weights so far are kept and compared.")
    if state.phase == "paused":
        return "Waiting", where + _("Paused. Press Continue to go on.")
    if state.wish == "pause":
        return "Waiting", where + _("Pausing after this step.")
    left = state.number("seconds_left")
    rest = _("About {time} left.").format(time=duration(left)) + " " if left is not None else ""
    if state.phase == "comparing":
        return "Running", _("Comparing the new model with the one before...") + " " + rest
    if state.phase != "training" or not state.number("step"):
        return "Running", _("Preparing: cases and model are loaded...") + said(state)
    return "Running", where + rest + _("You can go on working, or close Slicer.")


def labelsText(offset, belief):
    """What a run has found out of the careless labels; empty while it knows nothing.

    Args:
        offset: Millimetres by which they are too large; None where that is not known.
        belief: In repaired labels, 0 to 1; None where that is not known.
    """
    if offset is None:
        return ""
    if abs(offset) < SMALLEST_OFFSET_MM:
        text = _("The careless labels are neither too large nor too small on average.")
    elif offset > 0:
        text = _("The careless labels are {mm:.1f} mm too large on average.").format(mm=offset)
    else:
        text = _("The careless labels are {mm:.1f} mm too small on average.").format(mm=-offset)
    if belief is None:
        return text
    words = _("hardly used: the labels stay as they are")
    if belief >= WHOLLY_BELIEVED:
        words = _("believed")
    elif belief > MOSTLY_BELIEVED:
        words = _("mostly believed")
    elif belief > HALF_BELIEVED:
        words = _("partly believed")
    share = _("Their repair is {words} ({percent:.0f} %).").format(words=words, percent=100 * belief)
    return f"{text} {share}"


def said(state):
    """What the run itself says, after a space; its words are English."""
    message = str(state.line.get("message") or "").strip()
    return f" {message}" if message else ""


def _where(state):
    steps = state.number("steps")
    if not steps:
        return ""
    text = _("Step {step} of {steps}").format(step=state.number("step") or 0, steps=steps)
    dice = state.number("validation_dice")
    text += ", " + _("validation Dice {dice:.3f}").format(dice=dice) if dice is not None else ""
    return text + ". "


def _endedText(state):
    if state.phase == "failed":
        return "Warning", _("It failed.") + said(state)
    if state.phase in ("done", "stopped"):
        return "Done", _("The training has ended; its card is below. For another one choose another folder.")
    return "Waiting", _where(state) + _("Nobody works on it: it was interrupted. Start goes on from there.")
