"""Files damaged at random: the reader answers with a series or with one of this library's errors, never otherwise.

Bounded and seeded: some hundreds of files, each mutated from a valid one, a few seconds in all.
"""

from __future__ import annotations

import random
import warnings

import numpy as np
import pytest
import SimpleITK
from pet_dicom_builder import pet_slices, stored_values, write_slices
from test_enhanced_pet import enhanced

from SegAnyPETLib.data import read_pet_series, read_volume_file
from SegAnyPETLib.errors import SegAnyPETError, SegAnyPETWarning
from SegAnyPETLib.suv import compute_suv

INTERESTING = [
    b"\0" * 4,
    b"\xff" * 4,
    b"\xff\xff\xff\x7f",
    b"\xfe\xff\x00\xe0",
    b"\xfe\xff\xdd\xe0",
    b"SQUN",
    b"\\\\\\\\",
]


def mutated(raw: bytes, random_: random.Random, *, head: int) -> bytes:
    """One to four changes: bytes, words, cuts, doubled or removed pieces; most of them in the header."""
    data = bytearray(raw)
    for _ in range(random_.randint(1, 4)):
        place = random_.randrange(132, max(133, min(head, len(data))))
        match random_.randrange(6):
            case 0:
                data[place] = random_.randrange(256)
            case 1:
                data[place : place + 4] = random_.choice(INTERESTING)
            case 2:
                del data[place : place + random_.randint(1, 40)]
            case 3:
                data[place:place] = data[place : place + random_.randint(1, 40)]
            case 4:
                data[place : place + 2] = random_.randrange(65536).to_bytes(2, "little")
            case _:
                if random_.random() < 0.2:
                    del data[place:]
    return bytes(data)


def answers(path) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SegAnyPETWarning)
        try:
            series = read_pet_series(path)
            assert series.values.shape == series.grid.shape_kji
            compute_suv(series)
        except SegAnyPETError as error:
            return type(error).__name__
    return "read"


@pytest.mark.parametrize("syntax", ["explicit", "implicit"])
def test_mutated_slices_give_a_series_or_an_error_of_ours(tmp_path, syntax):
    slices = pet_slices(stored=stored_values(3, 4, 6))
    for dataset in slices:
        dataset.private_block(0x0009, "GEMS_PETD_01", create=True).add_new(0x0D, "DT", "20250101110000.00")
        if syntax == "implicit":
            dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"
    paths = write_slices(tmp_path, slices)
    valid = paths[1].read_bytes()
    random_ = random.Random(20250101)
    found: dict[str, int] = {}
    for _ in range(100):
        paths[1].write_bytes(mutated(valid, random_, head=len(valid)))
        answer = answers(tmp_path)
        found[answer] = found.get(answer, 0) + 1
    assert found.get("read", 0) > 5, found  # otherwise only the first check is tried
    assert len(found) > 2, found


def test_mutated_multiframe_file_gives_a_series_or_an_error_of_ours(tmp_path):
    path = write_slices(tmp_path, [enhanced()])[0]
    valid = path.read_bytes()
    random_ = random.Random(7)
    found = set()
    for _ in range(100):
        path.write_bytes(mutated(valid, random_, head=len(valid)))
        found.add(answers(path))
    assert len(found) > 2, found


def test_sequence_nested_beyond_reason_is_an_error_of_ours(tmp_path):
    paths = write_slices(tmp_path, pet_slices())
    raw = paths[0].read_bytes()
    nested = (b"\x40\x00\x55\x05SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff") * 3000
    paths[0].write_bytes(raw[: raw.index(b"\x28\x00\x02\x00US")] + nested)
    assert answers(tmp_path) != "read"


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_mutated_volume_files_give_a_volume_or_an_error_of_ours(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(stored_values().astype(np.float32)), str(path))
    valid = path.read_bytes()
    random_ = random.Random(11)
    for _ in range(100):
        data = bytearray(valid)
        for _ in range(random_.randint(1, 4)):
            data[random_.randrange(min(352, len(data)))] = random_.randrange(256)
        path.write_bytes(bytes(data[: random_.choice([len(data), len(data), len(data) // 2])]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SegAnyPETWarning)
            try:
                array, grid = read_volume_file(path)
            except SegAnyPETError:
                continue
            assert array.shape == grid.shape_kji
