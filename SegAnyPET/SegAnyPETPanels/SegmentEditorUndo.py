"""Our changes in the undo of Slicer's Segment Editor."""

import slicer


def saveForSegmentEditor(segmentationNode):
    """Let the Segment Editor save the segments before they change, where it was opened and edits this segmentation.

    It copies every layer that changed, so an editor of something else is left alone.

    Args:
        segmentationNode: What is about to change, or None.
    """
    module = getattr(slicer.modules, "SegmentEditorWidget", None)  # there once the Segment Editor was opened
    editor = getattr(module, "editor", None)
    if editor is not None and segmentationNode is not None and editor.segmentationNodeID() == segmentationNode.GetID():
        editor.saveStateForUndo()
