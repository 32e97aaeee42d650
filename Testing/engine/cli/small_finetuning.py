"""A cohort of spheres, and `seganypet finetune` with less of what takes minutes; as a program, for `torchrun`."""

import csv
import sys
from dataclasses import replace

from scipy import ndimage

from SegAnyPETLib.cli import main
from SegAnyPETLib.data import write_mask_nifti, write_volume_nifti
from SegAnyPETLib.finetune import forgetting, reviewing, site_run, site_training
from SegAnyPETLib.finetune.cohort.cohort_crops import CohortCrops
from SegAnyPETLib.finetune.comparing import Comparison, JudgedPair, compare_models
from SegAnyPETLib.finetune.presets import choose_preset
from SegAnyPETLib.phantom import centred_grid, nema_phantom


def write_sphere_cohort(folder, splits):
    """Spheres in oblique images of unequal spacing; the careless labels are a voxel too large."""
    lines = []
    for number, (quality, split) in enumerate(splits):
        grid = centred_grid((26, 24, 28), (4.0, 4.5, 3.5), centre_lps_mm=(number, -40.0, 90.0), orientation="oblique")
        centre = (number + 2.0, -42.0, 91.0)
        phantom = nema_phantom(grid=grid, diameters_mm=(24.0 + number,), centres_lps_mm=(centre,))
        mask = phantom.objects[0].mask
        if quality == "LQ":
            mask = ndimage.binary_dilation(mask)
        write_volume_nifti(folder / f"pet{number}.nii.gz", phantom.activity_suv, grid=grid)
        write_mask_nifti(folder / f"label{number}.nii.gz", mask, grid=grid)
        lines.append(
            [f"case{number}", f"patient{number}", f"pet{number}.nii.gz", f"label{number}.nii.gz", quality, split]
        )
    with (folder / "cohort.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["case", "patient", "image", "label", "quality", "split"], *lines])
    return folder / "cohort.csv"


def make_finetuning_small(replace_in, *, asks_models=True):
    """Less of what takes minutes: replayed bodies, crops of 64 voxels, 26 bundled cases, looks at careless labels.

    Args:
        replace_in: Called with a module, a name and what is to be there: `setattr`, or a test's own.
        asks_models: False compares nothing, and learns from one crop a step, for tests of what surrounds that.
    """

    def small(cases, **_):
        return CohortCrops(cases, replay_share=0.0)  # of 48 voxels

    def few(before, after, **_):
        if not asks_models:
            return Comparison((1,), (JudgedPair("scene", "scene", "synthetic", (0.8,), (0.8,)),))
        case = forgetting._scene_case("scene", forgetting._simple_scene(0))
        return compare_models(before, after, [case], clicks=(1,))

    def cheap(*choices, **facts):
        preset = choose_preset(*choices, **facts)
        cpcl = replace(preset.config.cpcl, prompt_sets=2)
        return preset._replace(config=replace(preset.config, batch=1 + asks_models, max_clicks=1, cpcl=cpcl))

    replace_in(site_run, "choose_preset", cheap)
    replace_in(reviewing, "LOOKS_PER_CASE", 1)
    replace_in(site_run, "CohortCrops", small)
    replace_in(site_training, "compare_bundled", few)


if __name__ == "__main__":
    make_finetuning_small(setattr, asks_models=False)
    sys.exit(main())
