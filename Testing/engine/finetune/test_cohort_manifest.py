"""The table of a cohort: what is read, what is refused, and what its fingerprint depends on."""

import os
import shutil
from dataclasses import replace

import pytest

from SegAnyPETLib.errors import InputError, OutputError, SegAnyPETWarning
from SegAnyPETLib.finetune.cohort import CohortEntry, Manifest, read_manifest, write_manifest

HEADER = "case,patient,image,label,quality,split\n"


@pytest.fixture
def a_manifest(tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    entries = []
    for n, split in enumerate(("train", "validation", "test")):
        image, label = site / f"{n}_pet.nii", site / f"{n}_seg.nii"
        image.write_bytes(b"image %d" % n)
        label.write_bytes(b"label %d" % n)
        entries.append(CohortEntry(f"c{n}", f"p{n}", image, label, "LQ" if n else "HQ", split))
    return Manifest(tuple(entries))


def test_a_table_comes_back_as_it_was_written(a_manifest, tmp_path):
    first, *others = a_manifest.entries
    entries = (replace(first, label_names=("Lesion 1", "Knoten, µ"), units="bqml", suv_factor=2.1e-4), *others)
    (tmp_path / "out").mkdir()
    path = write_manifest(Manifest(entries), tmp_path / "out" / "m.csv")
    assert read_manifest(path) == Manifest(entries)
    assert str(tmp_path) not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("mark", "separator", "end"), [("", ",", "\n"), ("\ufeff", ";", "\r\n"), ("\ufeff", ",", "\r")]
)
def test_tables_as_spreadsheets_save_them_are_read(tmp_path, mark, separator, end):
    lines = [
        "Case;Patient;Image;Label;Quality;Split;suv_factor;units",
        "a;p;x/pet.nii;x\\seg.nii;hq;Train;0,0002;bqml",
        "",
    ]
    text = mark + end.join(
        lines if separator == ";" else [line.replace("0,0002", "2e-4").replace(";", ",") for line in lines]
    )
    (tmp_path / "m.csv").write_text(text, encoding="utf-8", newline="")
    (entry,) = read_manifest(tmp_path / "m.csv").entries
    assert (entry.quality, entry.split, entry.suv_factor) == ("HQ", "train", 2e-4)
    assert entry.image == tmp_path / "x" / "pet.nii"
    assert entry.label.name in ("seg.nii", "x\\seg.nii")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Expected the columns"),
        ("case,patient,image\na,b,c\n", "Expected the columns"),
        (HEADER, "at least one case"),
        (HEADER + "a,p,i,l,HQ,train\na,q,i,l,HQ,train\n", "a more than once"),
        (HEADER + "a,p,i,l,good,train\n", "Line 2 of m.csv: Expected quality"),
        (HEADER + "a,p,i,l,HQ,training\n", "Expected split"),
        (HEADER + "a,,i,l,HQ,train\n", "has no patient"),
        (HEADER + "a,p,i\n", "has no label, quality, split"),
        (HEADER + '"a,p,i,l,HQ,train\n', "cannot be read as a table"),
        (HEADER + f"{'a' * 70000},p,i,l,HQ,train\n", "a cell of 70000"),
        (HEADER + "a\x07,p,i,l,HQ,train\n", "printable"),
        (HEADER + "a,p,i\0,l,HQ,train\n", "Line 2 of m.csv: a path|cannot be read as a table"),
        (HEADER.strip() + ",units\n" + "a,p,i,l,HQ,train,bqml\n", "suv_factor"),
        (HEADER.strip() + ",suv_factor\n" + "a,p,i,l,HQ,train,nan\n", "between 0 and 1"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(tmp_path, text, said):
    (tmp_path / "m.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        read_manifest(tmp_path / "m.csv")


def test_other_encodings_and_sizes_are_refused(tmp_path):
    (tmp_path / "m.csv").write_bytes(HEADER.encode("utf-16"))
    with pytest.raises(InputError, match="UTF-8"):
        read_manifest(tmp_path / "m.csv")
    with (tmp_path / "m.csv").open("wb") as stream:
        stream.truncate(17 << 20)
    with pytest.raises(InputError, match="at most 16 MB"):
        read_manifest(tmp_path / "m.csv")
    with pytest.raises(InputError, match="cannot be read"):
        read_manifest(tmp_path / "absent.csv")


def test_a_misspelt_column_is_said(tmp_path):
    (tmp_path / "m.csv").write_text(HEADER.strip() + ",lable_name\na,p,i,l,HQ,train,x\n", encoding="utf-8")
    with pytest.warns(SegAnyPETWarning, match="lable_name"):
        read_manifest(tmp_path / "m.csv")


def test_the_fingerprint_is_that_of_lines_and_contents_not_of_places(a_manifest, tmp_path):
    before = a_manifest.fingerprint
    assert Manifest(tuple(reversed(a_manifest.entries))).fingerprint == before
    shutil.copytree(tmp_path / "site", tmp_path / "elsewhere")
    moved = Manifest(
        tuple(
            replace(e, image=tmp_path / "elsewhere" / e.image.name, label=tmp_path / "elsewhere" / e.label.name)
            for e in a_manifest.entries
        )
    )
    assert moved.fingerprint == before
    first, *others = a_manifest.entries
    assert Manifest((replace(first, quality="LQ"), *others)).fingerprint != before
    assert Manifest((replace(first, split="test"), *others)).fingerprint != before
    first.label.write_bytes(b"another label")
    assert a_manifest.fingerprint != before


def test_a_changed_file_of_the_same_size_changes_the_fingerprint(a_manifest):
    before, label = a_manifest.fingerprint, a_manifest.entries[1].label
    seen = label.stat().st_mtime_ns
    label.write_bytes(b"LABEL 1")
    os.utime(label, ns=(seen + 1_000_000, seen + 1_000_000))
    assert a_manifest.fingerprint != before


def test_a_file_that_is_gone_has_no_fingerprint(a_manifest):
    a_manifest.entries[0].image.unlink()
    with pytest.raises(InputError, match="cannot"):
        _ = a_manifest.fingerprint


def test_a_table_that_cannot_be_written_leaves_nothing(a_manifest, tmp_path):
    with pytest.raises(OutputError):
        write_manifest(a_manifest, tmp_path / "absent" / "m.csv")
    assert not (tmp_path / "absent").exists()
