"""What a segment can be, as the panel offers it."""

from functools import cache

from slicer.i18n import tr as _


@cache
def terminologies():
    """Names and their coded meanings; what is frequent comes first."""
    from SegAnyPETLib.data.segment import LESION, LYMPH_NODE, METASTASIS, ORGAN_TERMS, PRIMARY_TUMOUR

    return (
        (_("Lesion"), LESION),
        (_("Primary tumour"), PRIMARY_TUMOUR),
        (_("Metastasis"), METASTASIS),
        (_("Lymph node"), LYMPH_NODE),
        *((name.capitalize(), terminology) for name, terminology in ORGAN_TERMS.items()),
    )
