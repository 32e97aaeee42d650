"""Simulated clicks: the deterministic protocol of the evaluation.

Public names: `deepest_voxel`, `next_click`.
"""

from SegAnyPETLib.clicks.protocol import deepest_voxel, next_click

__all__ = ["deepest_voxel", "next_click"]
