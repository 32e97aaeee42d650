"""The parts of a ``multipart/related`` answer, one after the other (RFC 2046 section 5.1, RFC 2387)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from email.message import Message

MAX_PART_BYTES = 2 * 1024**3  # a multi-frame object of a long scanner; a slice has some hundred kilobytes
MAX_HEAD_BYTES = 1 << 16


class MultipartError(Exception):
    """The answer is no multipart message, or ends before its end."""


def multipart_bodies(chunks: Iterable[bytes], content_type: str) -> Iterator[bytes]:
    """The content of each part; one part is in memory at a time.

    Args:
        chunks: The answer as it arrives.
        content_type: Its Content-Type with the boundary. A server that sends one image as ``application/dicom``,
            which the standard once allowed, is understood.

    Raises:
        MultipartError: The answer is something else, breaks off, or a part is larger than any image.
    """
    message = Message()
    message["Content-Type"] = content_type
    if message.get_content_type() == "application/dicom":
        yield _whole(chunks)
        return
    boundary = message.get_param("boundary")
    if message.get_content_type() != "multipart/related" or not isinstance(boundary, str) or not boundary:
        msg = f"an answer of type {message.get_content_type()}"
        raise MultipartError(msg)
    yield from _parts(chunks, b"\r\n--" + boundary.encode("ascii", "replace"))


def _parts(chunks: Iterable[bytes], delimiter: bytes) -> Iterator[bytes]:
    data = bytearray(b"\r\n")  # so that the first delimiter, which may open the message, looks like the others
    searched, is_preamble = 0, True
    for chunk in chunks:
        data += chunk
        while (at := data.find(delimiter, searched)) >= 0:
            if not is_preamble:
                yield _body(data[:at])
            is_preamble = False
            del data[: at + len(delimiter)]
            searched = 0
        searched = max(0, len(data) - len(delimiter))
        if len(data) > MAX_PART_BYTES:
            msg = f"a part of more than {MAX_PART_BYTES} bytes"
            raise MultipartError(msg)
    if is_preamble or not data.startswith(b"--"):  # the last delimiter ends with two more hyphens
        msg = "an answer that breaks off"
        raise MultipartError(msg)


def _body(part: bytearray) -> bytes:
    """Without the head of the part, which starts behind its delimiter."""
    end = part.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)
    if end < 0:
        msg = "a part without a head"
        raise MultipartError(msg)
    return bytes(part[end + 4 :])


def _whole(chunks: Iterable[bytes]) -> bytes:
    data = bytearray()
    for chunk in chunks:
        data += chunk
        if len(data) > MAX_PART_BYTES:
            msg = f"an image of more than {MAX_PART_BYTES} bytes"
            raise MultipartError(msg)
    return bytes(data)
