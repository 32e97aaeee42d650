"""Parts of a multipart answer, however it is cut into packets."""

from __future__ import annotations

from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart

import pytest
from hypothesis import given
from hypothesis import strategies as st

from SegAnyPETLib.batch.finding.multipart import MultipartError, multipart_bodies

TYPE = 'multipart/related; type="application/dicom"; boundary="b-1"'


def packed(bodies, *, preamble=b""):
    parts = b"".join(b"--b-1\r\nContent-Type: application/dicom\r\n\r\n" + body + b"\r\n" for body in bodies)
    return preamble + parts + b"--b-1--\r\n"


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=4), st.integers(1, 50))
def test_parts_come_out_as_they_were_packed(bodies, size):
    data = packed(bodies)
    chunks = [data[n : n + size] for n in range(0, len(data), size)]
    assert list(multipart_bodies(chunks, TYPE)) == bodies


def test_a_message_of_another_writer_is_read():
    message = MIMEMultipart("related", boundary="b-1")
    for body in ("one", "two"):
        message.attach(MIMEApplication(body, _encoder=lambda part: None))
    data = message.as_bytes().partition(b"\n\n")[2].replace(b"\n", b"\r\n")
    assert list(multipart_bodies([data], TYPE)) == [b"one", b"two"]


def test_one_image_that_is_not_packed_is_read():
    assert list(multipart_bodies([b"DI", b"CM"], "application/dicom")) == [b"DICM"]


@pytest.mark.parametrize("cut", [1, 30, -4, -9])
def test_an_answer_that_breaks_off_is_an_error(cut):
    with pytest.raises(MultipartError, match="breaks off"):
        list(multipart_bodies([packed([b"x" * 50])[:cut]], TYPE))


@pytest.mark.parametrize("kind", ["text/html", "multipart/related", ""])
def test_another_kind_of_answer_is_an_error(kind):
    with pytest.raises(MultipartError, match="an answer of type"):
        list(multipart_bodies([b"hello"], kind))
