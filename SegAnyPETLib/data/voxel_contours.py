"""Closed polygons around the voxels of one slice, such that filling them gives back exactly these voxels.

The polygons run along the edges of the voxels, so they keep the area (half-level contours cut it: a single voxel would
become a diamond of half its area), and no voxel centre is nearer to them than a quarter of a voxel. There is one per
piece; voxels that meet only in a corner are pieces of their own, whose polygons touch there. A hole is reached from
its piece's border through a channel of no width, walked to and fro (the keyhole of DICOM PS3.3 C.8.8.6.3), so the
even-odd rule and the winding rule, the union and the exclusive-or of the polygons all fill the same voxels.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Node = tuple[float, float, int]  # row and column of a voxel corner (centre minus half), and where it goes

RIGHT, DOWN, LEFT, UP, THERE, BACK = range(6)
_STEPS = ((0, 1), (1, 0), (0, -1), (-1, 0))
# A channel goes up inside one column of voxels, a quarter from its edge: there are neither corners nor centres.
_CHANNEL = 0.25


def trace_contours(plane: NDArray[np.bool_]) -> list[FloatArray]:
    """The polygons around the true voxels of a slice.

    Args:
        plane: (J, I).

    Returns:
        One array (n, 2) per piece: continuous indices (j, i), integers at voxel centres; clockwise as the image is
        shown, the first point not repeated, no point on a straight line between its neighbours. Empty without voxels.
    """
    edges = _border(plane)
    following = {edge: _next_edge(edge, edges) for edge in edges}
    outer, holes = _first_edges(edges, following)
    for hole in holes:
        _join(hole, plane, following)
    return [_corners_only(_walk(first, following)) - 0.5 for first in outer]


def _border(plane: NDArray[np.bool_]) -> set[Node]:
    """Edges between a voxel and no voxel, each with the voxel to its right."""
    padded = np.pad(plane, 1)
    inside = padded[1:-1, 1:-1]
    edges: set[Node] = set()
    for direction, neighbour, (row, column) in (
        (RIGHT, padded[:-2, 1:-1], (0, 0)),
        (DOWN, padded[1:-1, 2:], (0, 1)),
        (LEFT, padded[2:, 1:-1], (1, 1)),
        (UP, padded[1:-1, :-2], (1, 0)),
    ):
        edges |= {(j + row, i + column, direction) for j, i in np.argwhere(inside & ~neighbour).tolist()}
    return edges


def _next_edge(edge: Node, edges: set[Node]) -> Node:
    """The edge that goes on; where two do, the one around the same voxel, which turns right."""
    row, column, direction = edge
    end = (row + _STEPS[direction][0], column + _STEPS[direction][1])
    right, straight, left = ((*end, (direction + turn) % 4) for turn in (1, 0, 3))
    return right if right in edges else straight if straight in edges else left


def _first_edges(edges: set[Node], following: dict[Node, Node]) -> tuple[list[Node], list[Node]]:
    """The uppermost edge of each loop, leftmost of several: loops around pieces, and loops around holes."""
    outer, holes, seen = list[Node](), list[Node](), set[Node]()
    horizontal = [edge for edge in edges if edge[2] in (RIGHT, LEFT)]
    for first in sorted(horizontal, key=lambda edge: (edge[0], edge[1] - (edge[2] == LEFT))):
        if first in seen:
            continue
        seen.update(_walk(first, following))
        # The voxel lies under the uppermost edge of a piece, and above the uppermost edge of a hole.
        (outer if first[2] == RIGHT else holes).append(first)
    return outer, holes


def _join(hole: Node, plane: NDArray[np.bool_], following: dict[Node, Node]) -> None:
    """Lead the loop above the hole through a channel around the hole and back.

    The channel goes up through voxels only and ends at the first edge, which lies higher than the hole: so holes
    hang on higher holes and at last on the piece's border. No other channel can end at that edge.
    """
    bottom, column = int(hole[0]), int(hole[1]) - 1
    top = bottom - 1
    while top > 0 and plane[top - 1, column]:
        top -= 1
    edge: Node = (top, column, RIGHT)
    after_edge, after_hole = following[edge], following[hole]
    across = column + _CHANNEL
    there: tuple[Node, Node] = (top, across, THERE), (bottom, across, THERE)
    back: tuple[Node, Node] = (bottom, across, BACK), (top, across, BACK)
    following.update(pairwise((edge, *there, after_hole)))
    following.update(pairwise((hole, *back, after_edge)))


def _walk(first: Node, following: dict[Node, Node]) -> list[Node]:
    nodes, node = [first], following[first]
    while node != first:
        nodes.append(node)
        node = following[node]
    return nodes


def _corners_only(nodes: list[Node]) -> FloatArray:
    points = np.array([node[:2] for node in nodes], dtype=np.float64)
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    turns: NDArray[np.bool_] = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    return points[turns]
