"""An engine for tests: balls around the clicks, every look at the network gated by files.

Run as a script it is the child process. In the folder it is given, a file `hold` stops it inside of the network until
the file is gone; it leaves `inside` there while it waits, and one byte per encoded region in `encoded`,
one per decoded region in `decoded`.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from types import SimpleNamespace

RADIUS_MM = 12.0
SPACING_MM = 2.0
SIZE = 32


class GatedBallModel:
    """The union of balls around positive points, less those around negative ones."""

    def __init__(self, gate=None, *, memory_hungry=False, device="cpu"):
        self.gate = gate
        self.memory_hungry = memory_hungry
        preprocessing = SimpleNamespace(
            roi_shape=(SIZE,) * 3,
            spacings_mm=(SPACING_MM,),
            tensor_axes="kji_lps",
            normalization="log_suv",
            mask_prompt_first="zeros",
            points="accumulate",
            mask_stride=1,
            mask_shape=(SIZE,) * 3,
            first_looks=1,
        )
        self.spec = SimpleNamespace(name="balls", preprocessing=preprocessing)
        self.device = device

    def encode(self, volume):
        if self.gate is not None:
            with (self.gate / "encoded").open("ab") as file:
                file.write(b".")
            wait_at(self.gate)
        return volume

    def decode(self, embedding, *, points=None, mask_logits=None):
        import torch

        self.device = "cpu"  # as a model does whose graphics card has no memory left
        coords, labels = points
        if self.gate is not None:
            with (self.gate / "decoded").open("ab") as file:
                file.write(b".")
            os.write(1, b"a library that prints")  # must not reach the pipe
        if self.memory_hungry and len(labels[0]) > 1:
            torch.zeros(2**36)  # 256 GiB
        shape = embedding.shape[-3:]
        axes = torch.meshgrid(*[torch.arange(n, dtype=torch.float32) for n in shape], indexing="ij")
        index = torch.stack(axes, dim=-1)
        logits = torch.full(shape, -10.0)
        for sign, label in ((1.0, 1), (-1.0, 0)):
            for centre in coords[0][labels[0] == label].float():
                ball = RADIUS_MM / SPACING_MM - torch.linalg.vector_norm(index - centre, dim=-1)
                logits = torch.maximum(logits, 4 * ball) if sign > 0 else torch.minimum(logits, -4 * ball)
        return logits[None, None].clamp(-10, 10), torch.ones(1, 1)


def wait_at(gate):
    if not (gate / "hold").exists():
        return
    (gate / "inside").touch()
    while (gate / "hold").exists():
        time.sleep(0.002)
    (gate / "inside").unlink(missing_ok=True)


def limit_memory(extra_bytes):
    """Let the process have only so much more address space than it has now."""
    import resource

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + extra_bytes, resource.RLIM_INFINITY))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("gate", type=Path)
    parser.add_argument("--unloadable", action="store_true")
    parser.add_argument("--memory-hungry", action="store_true")
    parser.add_argument("--device", default="cpu", help="where the model says it is until it decodes")
    options = parser.parse_args()

    def load_model(name, *, device):
        from SegAnyPETLib.errors import WeightsError

        if options.unloadable:
            message = f"Expected the weights of {name} for {device}, found nothing."
            raise WeightsError(message)
        if options.memory_hungry:
            import torch  # before there is too little memory for it

            torch.set_num_threads(1)
            limit_memory(2**30)
        return GatedBallModel(options.gate, memory_hungry=options.memory_hungry, device=options.device)

    from SegAnyPETLib.worker import serve

    serve(load_model)


if __name__ == "__main__":
    main()
