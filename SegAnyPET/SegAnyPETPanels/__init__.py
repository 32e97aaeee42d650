"""The panels of the Slicer module SegAnyPET. They show and ask; what is done lies in `SegAnyPETLib`."""
