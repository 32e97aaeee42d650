"""Damaged and hostile files never end a search with anything but an error of ours."""

from __future__ import annotations

import gc
import random
import warnings
import zipfile

from pydicom.fileset import FileSet
from study_folders import add_ct, add_series

from SegAnyPETLib.batch.finding import search_sources
from SegAnyPETLib.errors import SegAnyPETError


def mutated(data, chance):
    """Some bytes replaced, and sometimes the end cut off."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 12)):
        changed[chance.randrange(132, len(changed))] = chance.choice(
            (0, 1, 0x20, 0x5C, 0x80, 0xFF, chance.randrange(256))
        )
    return bytes(changed[: chance.randint(140, len(changed))] if chance.random() < 0.3 else changed)


def test_mutated_images_are_counted_or_found_but_never_end_the_search(tmp_path, workspace):
    chance = random.Random(7)
    sources = [path.read_bytes() for path in add_series(tmp_path / "a", 1) + add_ct(tmp_path / "b")]
    folder = tmp_path / "mutated"
    folder.mkdir()
    for n in range(300):
        (folder / f"{n}.dcm").write_bytes(mutated(chance.choice(sources), chance))
    found = search_sources([folder], workspace=workspace)
    assert found.files_read == 300
    assert found.studies


def test_mutated_archives_and_dicomdirs_give_studies_or_an_error_of_ours(tmp_path, workspace):
    chance = random.Random(8)
    files = add_series(tmp_path / "a", 1)
    with zipfile.ZipFile(tmp_path / "good.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, file.name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # pydicom leaves its temporary folder to the collector
        media = FileSet()
        for path in files:
            media.add(path)
        media.write(tmp_path / "disk")
        del media
        gc.collect()
    refused = 0
    for good, bad in (("good.zip", "bad.zip"), ("disk/DICOMDIR", "disk/DICOMDIR.bad")):
        data = (tmp_path / good).read_bytes()
        for _ in range(60):
            (tmp_path / bad).write_bytes(mutated(data, chance))
            try:
                search_sources([tmp_path / bad], workspace=workspace)
            except SegAnyPETError:
                refused += 1
    assert 0 < refused < 120
