"""Whole-body PET made up from random anatomy, tracer uptake, lesions, breathing, blur and noise."""

from SegAnyPETLib.pretrain.bodies.anatomy import Body, build_body
from SegAnyPETLib.pretrain.bodies.crops import Bodies, sample_body_scene

__all__ = ["Bodies", "Body", "build_body", "sample_body_scene"]
