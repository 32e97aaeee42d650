"""Which image file belongs to which label file, by their names."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ENDINGS = (".seg.nrrd", ".nii.gz", ".nii", ".nrrd", ".mha")
IMAGE_WORDS = ("pet", "suv", "suvbw", "pt", "image", "img")
LABEL_WORDS = ("gtv", "seg", "segmentation", "mask", "label", "labels", "lesion", "lesions", "roi", "tumor", "tumour")
LARGEST_JSON = 16 << 20
_CHANNEL = re.compile(r"(.+)_(\d{4})")


@dataclass(frozen=True)
class FoundPair:
    """An image and its label.

    Attributes:
        key: What tells it from others in the same folder; may be empty.
        image: Its file.
        label: Its file.
        is_nnunet: From nnU-Net's folders, whose names say nothing of patients.
    """

    key: str
    image: Path
    label: Path
    is_nnunet: bool = False


def stem_of(path: Path) -> str:
    """The name without its ending."""
    name = path.name
    ending = next((ending for ending in ENDINGS if name.lower().endswith(ending)), path.suffix)
    return name[: len(name) - len(ending)]


def pairs_in_folder(files: Sequence[Path], notes: list[str]) -> list[FoundPair]:
    """Images and labels of one folder whose names are equal but for words such as pet and seg.

    A folder with a single image gives it all its labels.
    """
    images, labels = defaultdict[str, list[Path]](list), defaultdict[str, list[Path]](list)
    for path in files:
        words = [word for word in re.split(r"[\s_.\-]+", stem_of(path)) if word]
        rest = "_".join(word for word in words if word.lower() not in IMAGE_WORDS + LABEL_WORDS)
        lowered = {word.lower() for word in words}
        if lowered & set(LABEL_WORDS) or path.name.lower().endswith(".seg.nrrd"):
            labels[rest].append(path)
        elif lowered & set(IMAGE_WORDS):
            images[rest].append(path)
    if sum(map(len, images.values())) == 1 and labels:
        ((key, (image,)),) = images.items()
        every = [label for rest in sorted(labels) for label in labels[rest]]
        return [FoundPair(_joined(key, label, len(every)), image, label) for label in every]
    pairs = []
    for key in sorted(set(images) & set(labels)):
        image = _preferred(images[key])
        pairs += [FoundPair(_joined(key, label, len(labels[key])), image, label) for label in labels[key]]
    alone = sorted(set(images) - set(labels))
    if alone and (labels or pairs):
        notes.append(f"{len(alone)} images have no label beside them, for example {images[alone[0]][0].name}.")
    return pairs


def _joined(key: str, label: Path, count: int) -> str:
    """With the label's name where an image has several."""
    return "_".join(part for part in (key, stem_of(label) if count > 1 else "") if part)


def _preferred(images: Sequence[Path]) -> Path:
    """The one that says SUV, else the first."""
    return next((path for path in images if "suv" in path.name.lower()), images[0])


def pairs_of_nnunet(images: Sequence[Path], labels: Sequence[Path], notes: list[str]) -> list[FoundPair]:
    """``imagesTr/NAME_0000`` and ``labelsTr/NAME``; ``dataset.json`` says which channel is the PET.

    Source:
        nnU-Net, documentation/dataset_format.md.
    """
    channels: dict[str, dict[str, Path]] = defaultdict(dict)
    for path in images:
        match = _CHANNEL.fullmatch(stem_of(path))
        if match is not None:
            channels[match[1]][match[2]] = path
    several = len({number for each in channels.values() for number in each}) > 1
    pet = _pet_channel(images[0].parent.parent / "dataset.json") if several else None
    if several and pet is None:
        notes.append(
            f"Images in {images[0].parent.name} have several channels, and no dataset.json says which is the PET; they "
            "were left out."
        )
        return []
    pairs = []
    for label in sorted(labels):
        key = stem_of(label)
        found = channels.get(key, {})
        image = found.get(pet) if pet is not None else next(iter(found.values()), None)
        if image is not None:
            pairs.append(FoundPair(key, image, label, is_nnunet=True))
    return pairs


def _pet_channel(path: Path) -> str | None:
    """The four digits of the channel that is the PET; None where that is not said."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(LARGEST_JSON + 1)
        content = json.loads(raw) if len(raw) <= LARGEST_JSON else None
    except (OSError, ValueError, RecursionError):
        return None
    names = content.get("channel_names", content.get("modality")) if isinstance(content, dict) else None
    if not isinstance(names, dict):
        return None
    pets = [key for key, name in names.items() if {"pet", "suv", "pt"} & set(re.split(r"\W+|_", str(name).lower()))]
    return pets[0].zfill(4) if len(pets) == 1 and pets[0].isdigit() else None
