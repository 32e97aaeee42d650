"""How the child process begins: it takes its pipes for itself, then loads what is heavy."""

from __future__ import annotations

import faulthandler
import os
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

ModelLoader = Callable[..., Any]  # (name, *, device) -> anything with the members of `SegmentationModel`


def serve(load_model: ModelLoader | None = None) -> None:
    """Answer the requests of an `EngineClient` on standard input and output; returns never.

    What anything prints from now on goes to standard error. The process ends when its standard input does.

    Args:
        load_model: Called with the model's name and ``device=``; `SegAnyPETLib.model.load_model` when not given.
    """
    incoming, outgoing = _take_over_pipes()
    faulthandler.enable()
    from SegAnyPETLib.worker.child import Child

    code = Child(incoming, outgoing, load_model=load_model or _load_model).run()
    sys.stderr.flush()
    os._exit(code)  # not a normal exit: threads of torch or a stuck reader must not keep the process


def _take_over_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output for us alone; whoever reads gets nothing, whoever prints writes to standard error."""
    incoming = os.fdopen(os.dup(0), "rb")
    outgoing = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return incoming, outgoing


def _load_model(name: str, *, device: str) -> Any:
    from SegAnyPETLib.errors import SetupError

    try:
        from SegAnyPETLib.model import load_model
    except ImportError as error:
        msg = f"Expected PyTorch and what the model needs to be installed; found: {error}. Install them in Settings."
        raise SetupError(msg) from error
    return load_model(name, device=device)
