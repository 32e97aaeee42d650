"""Segments, codes and masks are checked where they are made."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.sr.codedict import codes
from three_segments import awkward_grid

from SegAnyPETLib.data.segment import (
    LESION,
    LYMPH_NODE,
    METASTASIS,
    ORGAN_TERMS,
    PRIMARY_TUMOUR,
    Code,
    Segment,
    as_mask,
    require_segments,
)
from SegAnyPETLib.errors import GeometryError, OutputError
from SegAnyPETLib.phantom.anatomy import BODY_PARTS


def test_a_mask_stays_the_callers_and_is_not_copied():
    mask = np.zeros((3, 4, 5), bool)
    segment = Segment("Lesion", mask)
    assert np.shares_memory(segment.mask, mask)
    assert mask.flags.writeable
    assert not segment.mask.flags.writeable


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_zeros_and_ones_of_any_type_are_a_mask(dtype):
    values = np.arange(24).reshape(2, 3, 4) % 2
    assert np.array_equal(as_mask(values.astype(dtype)), values.astype(bool))


def test_labels_probabilities_and_nan_are_no_mask():
    for values in (np.full((2, 3, 4), 2), np.full((2, 3, 4), 0.5), np.full((2, 3, 4), np.nan)):
        with pytest.raises(GeometryError, match="0 and 1"):
            as_mask(values)
    with pytest.raises(GeometryError, match="three axes"):
        as_mask(np.zeros((3, 4), bool))
    with pytest.raises(GeometryError, match=r"found \(11, 13, 9\)"):
        as_mask(np.zeros((11, 13, 9), bool), grid=awkward_grid())


@pytest.mark.parametrize("label", ["", "  ", "two\nlines", "x" * 65])
def test_a_label_no_file_can_hold_is_refused(label):
    with pytest.raises(OutputError, match="label"):
        Segment(label, np.ones((2, 2, 2), bool))


def test_colours_and_codes_are_checked():
    with pytest.raises(OutputError, match="colour"):
        Segment("a", np.ones((2, 2, 2), bool), color_rgb=(255.0, 0.0, 0.0))
    for parts in (("", "SCT", "x"), ("1", "SCT", "a~b"), ("1", "SCT", "a^b"), ("1", "S|T", "x"), ("1", "SCT", "a\nb")):
        with pytest.raises(OutputError, match="in a code"):
            Code(*parts)


def test_empty_and_missing_segments_are_refused_by_name():
    grid = awkward_grid()
    with pytest.raises(OutputError, match="at least one segment"):
        require_segments([], grid)
    with pytest.raises(OutputError, match="'Node 3' has no voxel"):
        require_segments([Segment("Node 3", np.zeros(grid.shape_kji, bool))], grid)


def test_codes_are_those_of_the_dicom_standard():
    # pydicom's dictionary is made from PS3.16.
    expected = {
        LESION: codes.SCT.Neoplasm,
        PRIMARY_TUMOUR: codes.SCT.NeoplasmPrimary,
        LYMPH_NODE: codes.SCT.LymphNode,
        ORGAN_TERMS["aorta"]: codes.SCT.Aorta,
        ORGAN_TERMS["bladder"]: codes.SCT.Bladder,
        ORGAN_TERMS["brain"]: codes.SCT.Brain,
        ORGAN_TERMS["left lung"]: codes.SCT.Lung,
        ORGAN_TERMS["left ventricle"]: codes.SCT.LeftVentricle,
        ORGAN_TERMS["liver"]: codes.SCT.Liver,
        ORGAN_TERMS["pancreas"]: codes.SCT.Pancreas,
        ORGAN_TERMS["right kidney"]: codes.SCT.Kidney,
        ORGAN_TERMS["spine"]: codes.SCT.Spine,
        ORGAN_TERMS["spleen"]: codes.SCT.Spleen,
        ORGAN_TERMS["stomach"]: codes.SCT.Stomach,
    }
    for terms, code in expected.items():
        assert (terms.type.value, terms.type.scheme) == (code.value, code.scheme_designator)
    assert METASTASIS.type.value == "14799000"
    assert LESION.category.value == codes.SCT.MorphologicallyAbnormalStructure.value
    assert LYMPH_NODE.category.value == "123037004"


def test_every_organ_of_the_body_phantom_has_a_code():
    assert {part.name for part in BODY_PARTS if part.kind == "organ"} <= set(ORGAN_TERMS)
