"""The tissues of the label maps, and the organs that are made of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, auto

import numpy as np
from numpy.typing import NDArray

LEFT = 64  # added to the tissue where a part lies on the patient's left and has a twin on the right
LABELS = 128
RIVAL_RATIO = 1.5


class Tissue(IntEnum):
    """What a voxel is made of; the label of a voxel is its tissue, plus `LEFT` for the left one of a pair."""

    AIR = 0
    SKIN = auto()
    FAT = auto()
    MUSCLE = auto()
    AIRWAY = auto()
    BONE = auto()  # cortex: skull, long-bone shafts
    VERTEBRA = auto()
    MARROW = auto()  # pelvis, sacrum, sternum, ribs, proximal femur and humerus
    SHAFT = auto()  # marrow of the long bones
    GREY = auto()
    WHITE = auto()
    NUCLEI = auto()
    CEREBELLUM = auto()
    VENTRICLE = auto()
    CSF = auto()  # around the brain
    CORD = auto()
    EYE = auto()
    PITUITARY = auto()
    LACRIMAL = auto()
    PAROTID = auto()
    SUBMANDIBULAR = auto()
    SUBLINGUAL = auto()
    TONSIL = auto()
    THYROID = auto()
    VOCAL_CORD = auto()
    BROWN_FAT = auto()
    PSOAS = auto()
    TRAPEZIUS = auto()
    LUNG = auto()
    MYOCARDIUM = auto()
    MYOCARDIUM_BASE = auto()
    HEART_BLOOD = auto()
    AORTA = auto()
    VEIN = auto()
    OESOPHAGUS = auto()
    LIVER = auto()
    GALLBLADDER = auto()
    SPLEEN = auto()
    STOMACH = auto()
    STOMACH_LUMEN = auto()
    PANCREAS = auto()
    ADRENAL = auto()
    KIDNEY_CORTEX = auto()
    KIDNEY_MEDULLA = auto()
    KIDNEY_PELVIS = auto()
    URETER = auto()
    DUODENUM = auto()
    JEJUNUM = auto()
    ILEUM = auto()
    RIGHT_COLON = auto()
    TRANSVERSE_COLON = auto()
    LEFT_COLON = auto()
    RECTUM = auto()
    BLADDER = auto()
    PROSTATE = auto()
    UTERUS = auto()
    TESTIS = auto()
    BREAST = auto()
    INJECTION = auto()


@dataclass(frozen=True)
class Organ:
    """An organ somebody would click on.

    Attributes:
        name: As in file names.
        tissues: All of them belong to it.
        paired: Whether left and right are two objects.
        against: What it wraps; without a difference to it the organ has no border to find.
    """

    name: str
    tissues: tuple[Tissue, ...]
    paired: bool = False
    against: Tissue | None = None

    def stands_out(self, table: NDArray[np.float32]) -> bool:
        """Whether all of it differs by a factor of 1.5 from `against`, given the SUV of every label (128,)."""
        if self.against is None:
            return True
        ratios = table[list(self.tissues)] / table[self.against]
        return bool(ratios.min() >= RIVAL_RATIO or ratios.max() <= 1 / RIVAL_RATIO)

    def instances(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """Name and labels of each object: one, or right and left."""
        right = tuple(int(t) for t in self.tissues)
        if not self.paired:
            return ((self.name, right),)
        return ((f"{self.name}_right", right), (f"{self.name}_left", tuple(t + LEFT for t in right)))


_T = Tissue
ORGANS = (
    Organ("brain", (_T.GREY, _T.WHITE, _T.NUCLEI, _T.CEREBELLUM, _T.VENTRICLE)),
    Organ("lung", (_T.LUNG,), paired=True),
    Organ("myocardium", (_T.MYOCARDIUM, _T.MYOCARDIUM_BASE), against=_T.HEART_BLOOD),
    Organ("aorta", (_T.AORTA,)),
    Organ("liver", (_T.LIVER,)),
    Organ("spleen", (_T.SPLEEN,)),
    Organ("kidney", (_T.KIDNEY_CORTEX, _T.KIDNEY_MEDULLA, _T.KIDNEY_PELVIS), paired=True),
    Organ("bladder", (_T.BLADDER,)),
    Organ("stomach", (_T.STOMACH, _T.STOMACH_LUMEN)),
    Organ("pancreas", (_T.PANCREAS,)),
    Organ("spine", (_T.VERTEBRA,)),
    Organ("parotid", (_T.PAROTID,), paired=True),
    Organ("submandibular", (_T.SUBMANDIBULAR,), paired=True),
    Organ("thyroid", (_T.THYROID,), paired=True),
    Organ("prostate", (_T.PROSTATE,)),
    Organ("uterus", (_T.UTERUS,)),
    Organ("testis", (_T.TESTIS,), paired=True),
)

FOCI = (  # physiological foci that draw the eye; one connected piece is one object
    _T.BLADDER, _T.URETER, _T.DUODENUM, _T.JEJUNUM, _T.ILEUM, _T.RIGHT_COLON, _T.TRANSVERSE_COLON, _T.LEFT_COLON,
    _T.RECTUM, _T.BROWN_FAT, _T.PSOAS, _T.TRAPEZIUS, _T.VOCAL_CORD, _T.TONSIL, _T.INJECTION, _T.LACRIMAL,
    _T.SUBLINGUAL, _T.PITUITARY, _T.ADRENAL, _T.KIDNEY_PELVIS, _T.GALLBLADDER, _T.NUCLEI,
)  # fmt: skip

HOT_NEIGHBOURS = (  # what lesions are put against on purpose: beside it borders are hard to see
    _T.BLADDER, _T.KIDNEY_CORTEX, _T.MYOCARDIUM, _T.GREY, _T.CEREBELLUM, _T.DUODENUM, _T.JEJUNUM, _T.LEFT_COLON,
    _T.STOMACH, _T.LIVER, _T.SPLEEN, _T.PAROTID, _T.SUBMANDIBULAR, _T.URETER,
)  # fmt: skip

BODY_WALL = (_T.SKIN, _T.FAT, _T.MUSCLE)
