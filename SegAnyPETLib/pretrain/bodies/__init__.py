"""Whole-body PET made up from random anatomy, tracer uptake, lesions, breathing, blur and noise."""

from SegAnyPETLib.pretrain.bodies.anatomy import Body, build_body
from SegAnyPETLib.pretrain.bodies.crops import Bodies, sample_body_scene
from SegAnyPETLib.pretrain.bodies.studies import Study, StudyObject, sample_study, write_study

__all__ = ["Bodies", "Body", "Study", "StudyObject", "build_body", "sample_body_scene", "sample_study", "write_study"]
