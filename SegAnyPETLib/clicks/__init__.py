"""Simulated clicks: the deterministic protocol of the evaluation, and how far a click reaches.

Public names: `LARGEST_REACH_MM`, `deepest_voxel`, `next_click`, `reach_of_click`.
"""

from SegAnyPETLib.clicks.protocol import deepest_voxel, next_click
from SegAnyPETLib.clicks.reach import LARGEST_REACH_MM, reach_of_click

__all__ = ["LARGEST_REACH_MM", "deepest_voxel", "next_click", "reach_of_click"]
