"""Whole studies with nobody watching: find them, prompt them, segment them, write what a hospital reads.

The names load on first use, so that importing the package costs nothing.
"""

from __future__ import annotations
