"""The one line of the tab Batch that says what is going on, and what to do next."""

from slicer.i18n import tr as _

from SegAnyPETPanels.Duration import duration


def foundText(lines):
    """What a run would do.

    Args:
        lines: The `StudyLine` objects of a search, not empty.

    Returns:
        Name of an icon, and the text.
    """
    counts = countsOf(lines)
    parts = [_("{count} to be segmented").format(count=counts.get("waiting", 0))]
    parts += _others(counts, ("done", "doubtful", "skipped", "failed"))
    if not counts.get("waiting") and not counts.get("done"):
        return "Warning", _("Nothing can be segmented here: {parts}.").format(parts=", ".join(parts[1:]))
    text = _("Studies found: {parts}.").format(parts=", ".join(parts))
    if counts.get("doubtful"):
        text += " " + _("Unclear ones are left for you: their reason says what to choose.")
    return "Hint", text + " " + _("Press Start.")


def runText(state, *, isRunning):
    """How a run is doing.

    Args:
        state: A `RunState`, or None while the run has no journal yet.
        isRunning: Whether a process works on it.

    Returns:
        Name of an icon, and the text.
    """
    if state is None or (isRunning and not state.rows):
        return "Running", _("Looking for studies...")
    counts = countsOf(state.rows)
    parts = [_("{done} of {count} done").format(done=counts.get("done", 0), count=len(state.rows))]
    parts += _others(counts, ("failed", "doubtful", "skipped"))
    text = ", ".join(parts) + "."
    if not isRunning:
        return _endedText(state, text, counts)
    if state.wish != "run":
        return "Waiting", f"{text} {_waitText(state, counts)}"
    if state.message == "waiting for workers":
        return "Waiting", text + " " + _("No worker is there; it goes on once one comes.")
    if state.message == "starting":
        return "Running", text + " " + _("Loading the model...")
    left = state.secondsLeft
    if left is not None:
        text += " " + _("About {time} left.").format(time=duration(left))
    return "Running", text + " " + _("You can go on working, or close Slicer.")


def countsOf(lines):
    """How many studies are in each state that occurs."""
    counts = {}
    for line in lines:
        counts[line.state] = counts.get(line.state, 0) + 1
    return counts


def _others(counts, states):
    words = {
        "done": _("{count} done before"),
        "failed": _("{count} failed"),
        "doubtful": _("{count} unclear"),
        "skipped": _("{count} left out"),
    }
    return [words[state].format(count=counts[state]) for state in states if counts.get(state)]


def _waitText(state, counts):
    underWay = counts.get("running", 0)
    if state.wish == "stop":
        return _("Stopping: what was begun is finished or dropped.")
    if underWay:
        return _("Pausing: {count} under way are finished.").format(count=underWay)
    return _("Paused. Press Continue to go on.")


def _endedText(state, text, counts):
    if not state.rows:
        return "Warning", _("No study was found there.")
    if counts.get("waiting") or counts.get("running"):
        return "Waiting", text + " " + _("It was stopped; Start goes on.")
    if not counts.get("done"):
        return "Warning", text
    return "Done", text + " " + _("Double-click a study to look at its result and to correct it.")
