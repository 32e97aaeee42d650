"""A model as fine-tuning leaves it: `lite` with one bias raised."""

import tempfile
from dataclasses import asdict, replace
from pathlib import Path

from SegAnyPETLib.model import find_model, import_model, load_model
from SegAnyPETLib.model.site_file import base_facts, write_site_file
from SegAnyPETLib.model.site_models import SiteAbout

CARD = {"decision": {"becomes_default": False, "reason": "two patients are few"}}
CHANGED = "decoder.head.2.bias"


def about(**changes):
    spec = find_model("lite").spec
    base, base_sha256 = base_facts("lite")
    made = SiteAbout(
        title="lite, fine-tuned",
        architecture="lite",
        preprocessing=asdict(spec.preprocessing),
        base=base,
        base_sha256=base_sha256,
        holds="changed",
        made_from="lite",
        made_from_sha256=base_sha256,
        licence=spec.licence,
        training_data="cases of a site",
        made_at="2026-05-01T10:00:00+00:00",
    )
    return replace(made, **changes)


def brighter(state):
    """Weights of `lite` whose logits are higher by 1."""
    changed = {name: value.clone() for name, value in state.items()}
    changed[CHANGED] += 1.0
    return changed


def make_site_model(name):
    """Put such a model among those of this computer."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.safetensors"
        write_site_file(path, brighter(load_model("lite", device="cpu").network.state_dict()), about(), card=CARD)
        return import_model(path, name=name)
