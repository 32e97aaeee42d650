"""What goes through the pipes: frames of a length prefix, a header in JSON, and raw bytes.

    4 bytes  SAPE
    4 bytes  length of the header, little endian
    8 bytes  length of the payload, little endian
    header   a JSON object with "kind"
    payload  bits of masks, float32 values

Nothing that is received is ever executed or unpickled. The first frame each way is ``hello`` with the protocol's
version; any change of what frames mean raises `PROTOCOL`.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, Any

from SegAnyPETLib.errors import WorkerError

PROTOCOL = 1
MAGIC = b"SAPE"
LARGEST_HEADER = 8 * 2**20
LARGEST_PAYLOAD = 2**30
_PREFIX = struct.Struct("<4sIQ")


@dataclass(frozen=True)
class Frame:
    """One message.

    Attributes:
        kind: What it is.
        fields: JSON values.
        payload: Raw bytes that the fields describe.
    """

    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    payload: bytes = b""


def write_frame(stream: IO[bytes], frame: Frame) -> None:
    """Write and flush one frame.

    Raises:
        WorkerError: The frame is larger than the protocol allows.
    """
    header = json.dumps({"kind": frame.kind, **frame.fields}, separators=(",", ":")).encode()
    _check_sizes(len(header), len(frame.payload))
    stream.write(_PREFIX.pack(MAGIC, len(header), len(frame.payload)) + header)
    if frame.payload:
        stream.write(frame.payload)
    stream.flush()


def read_frame(stream: IO[bytes]) -> Frame | None:
    """The next frame; None where the stream ends between two frames.

    Raises:
        WorkerError: What was read is not a frame, is larger than the protocol allows, or ends in the middle.
    """
    magic = stream.read(len(MAGIC))  # alone, so that a few bytes of something else are noticed at once
    if not magic:
        return None
    if not MAGIC.startswith(magic):
        msg = f"Expected a message that begins with {MAGIC!r}; found {magic!r}. Something else writes to the pipe."
        raise WorkerError(msg)
    _, header_size, payload_size = _PREFIX.unpack(magic + _read_exactly(stream, _PREFIX.size - len(magic)))
    _check_sizes(header_size, payload_size)
    header = _read_exactly(stream, header_size)
    payload = _read_exactly(stream, payload_size)
    try:
        fields = json.loads(header)
        return Frame(str(fields.pop("kind")), fields, payload)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        msg = f"Expected a JSON object with a kind as header of a message; found {header[:80]!r}."
        raise WorkerError(msg) from error


def _read_exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size) if size else b""
    if len(data) < size:
        raise _cut_off(size, len(data))
    return data


def _check_sizes(header_size: int, payload_size: int) -> None:
    if header_size > LARGEST_HEADER or payload_size > LARGEST_PAYLOAD:
        msg = (
            f"Expected a message of at most {LARGEST_HEADER} bytes header and {LARGEST_PAYLOAD} bytes data; "
            f"found {header_size} and {payload_size}."
        )
        raise WorkerError(msg)


def _cut_off(expected: int, found: int) -> WorkerError:
    return WorkerError(f"Expected {expected} more bytes of a message; the pipe ended after {found}.")
