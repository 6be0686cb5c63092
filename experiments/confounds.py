"""Confounds that are planted into simulated fields, and clean fields that resemble them.

A field is edited as a microscope, a preparation or a plate layout would change it, and its cells get labels that follow
the edit. In fields without any biology (every effect 0) nothing else tells the labels, so a network that scores above
chance there uses the confound. Clean fields are labelled by their marker and have true cues.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from experiments import field_edits


@dataclasses.dataclass(frozen=True)
class Confound:
    """A kind of confound, or of clean fields.

    Attributes:
        edit: (field, strength, rng) -> class of each cell, text [N], "" for none; or None where the marker labels the
            cells. The field is edited in place.
        strengths: with which it is planted.
        tellable: whether data can tell it from biology.
        one_class_wells: whether each field is a well of one class.
        masks: `data.mask` with which networks are trained.
        effects: effects of the phase, of clean fields; {} of fields without biology.
        removable: whether it is in the picture, so that fields without it can be shown.
        tuned: whether the rules of the checks were chosen with it in sight.
    """

    edit: Callable
    strengths: tuple[float, ...] = (1.0,)
    tellable: bool = True
    one_class_wells: bool = False
    masks: tuple[str, ...] = ("cell", "none")
    effects: dict = dataclasses.field(default_factory=dict)
    removable: bool = True
    tuned: bool = False


def beside_biology(confound: Confound, strength: float) -> Confound:
    """The same confound in fields with biology: cells keep a label where it agrees with their true class."""
    def edit(field, strength, rng):
        classes = confound.edit(field, strength, rng)
        truth = field.cells["class_name"].map({"G1/S": "a", "G2": "b"}).to_numpy()
        return np.where(classes == truth, classes, "")

    edit.__doc__ = f"{confound.edit.__doc__} The classes differ in biology, too."
    return dataclasses.replace(confound, edit=edit, strengths=(strength,), effects=ALL_CUES, tuned=False)


ALL_CUES = {"dna_content": 1.0, "nuclear_area": 0.4, "golgi_area": 0.9, "golgi_scatter": 1.0, "plus_end_density": 0.8}
IN_FIELDS_WITHOUT_BIOLOGY = {
    "gain of field": Confound(field_edits.gain_of_field, (0.8,)),
    "noise of field": Confound(field_edits.noise_of_field, (0.15,), tuned=True),
    "focus of field": Confound(field_edits.focus_of_field, (1.5, 3.0)),
    "one stain of field": Confound(field_edits.one_stain_of_field, (0.8,)),
    "shifted stain of field": Confound(field_edits.shifted_stain_of_field, (4.0,)),
    "saturated field": Confound(field_edits.saturated_field, (0.4,)),
    "bleaching": Confound(field_edits.bleaching, (0.6,)),
    "striped field": Confound(field_edits.striped_field, (0.1,)),
    "coarse grey levels": Confound(field_edits.coarse_grey_levels, (40.0,)),
    "noise of well": Confound(field_edits.noise_of_well, (0.15,), tellable=False, one_class_wells=True, tuned=True),
    "focus of well": Confound(field_edits.focus_of_well, (2.0,), tellable=False, one_class_wells=True),
    "gain of well": Confound(field_edits.gain_of_well, (0.5,), tellable=False, one_class_wells=True),
    "ramp": Confound(field_edits.ramp, (0.1, 0.3), tuned=True),
    "ramp, mostly": Confound(field_edits.ramp_mostly, (0.2,)),
    "ramp of one stain": Confound(field_edits.ramp_of_one_stain, (0.3,)),
    "shading": Confound(field_edits.shading, (0.8,)),
    "bleached patch": Confound(field_edits.bleached_patch, (0.4,), tellable=False),
    "patch out of focus": Confound(field_edits.patch_out_of_focus, (3.0,), tellable=False),
    "curved focus": Confound(field_edits.curved_focus, (2.0, 4.0)),
    "crowding": Confound(field_edits.crowding, removable=False, tuned=True),
    "crowding, mostly": Confound(field_edits.crowding_mostly, removable=False),
    "speck beside": Confound(field_edits.speck_beside, (0.5, 1.5), masks=("none",)),
    "haze about": Confound(field_edits.haze_about, (0.3, 0.8), masks=("none",)),
    "leak into Golgi": Confound(field_edits.leak_into(field_edits.GOLGI), (0.04, 0.08), tuned=True),
    "leak into EB1": Confound(field_edits.leak_into(field_edits.EB1), (0.08,)),
    # Both are in the nucleus.
    "leak into DNA": Confound(field_edits.leak_into(field_edits.DNA), (0.2,), tellable=False, tuned=True),
    "noise of cell": Confound(field_edits.noise_of_cell, (0.2,), tellable=False, tuned=True),
    "focus of cell": Confound(field_edits.focus_of_cell, (2.0,), tellable=False, tuned=True),
    "light of cell": Confound(field_edits.light_of_cell, (0.15, 0.6), tellable=False),
    "stamp": Confound(field_edits.stamp, (0.5, 1.5), tellable=False, tuned=True),
    "shifted stain of cell": Confound(field_edits.shifted_stain_of_cell, (3.0,), tellable=False, tuned=True),
    "light from above": Confound(field_edits.light_from_above, (0.5,), tellable=False),
    "mark aside": Confound(field_edits.mark_aside, (3.0,), tellable=False),
}
BESIDE_BIOLOGY = {  # strength
    "gain of field": 0.8,
    "focus of field": 3.0,
    "one stain of field": 0.8,
    "bleaching": 0.6,
    "focus of well": 2.0,
    "ramp, mostly": 0.3,
    "curved focus": 4.0,
    "speck beside": 1.5,
    "haze about": 0.8,
    "focus of cell": 2.0,
}
CONFOUNDS = IN_FIELDS_WITHOUT_BIOLOGY | {
    f"{kind}, beside biology": beside_biology(IN_FIELDS_WITHOUT_BIOLOGY[kind], strength)
    for kind, strength in BESIDE_BIOLOGY.items()
}
CLEAN = {
    "all cues": Confound(field_edits.nothing, effects=ALL_CUES, tuned=True),
    "DNA": Confound(field_edits.nothing, effects={"dna_content": 1.0}),
    "size": Confound(field_edits.nothing, effects={"nuclear_area": 0.8}),
    "Golgi": Confound(field_edits.nothing, effects={"golgi_area": 1.5, "golgi_scatter": 2.0}),
    "plus ends": Confound(field_edits.nothing, effects={"plus_end_density": 2.0}),
    "uneven light": Confound(field_edits.uneven_light, (0.2,), effects=ALL_CUES),
    "uneven stain": Confound(field_edits.uneven_stain, (0.4,), effects=ALL_CUES),
    "marker that follows DNA": Confound(field_edits.marker_follows_dna, effects=ALL_CUES),
    "contact inhibition": Confound(field_edits.contact_inhibition, (0.7,), effects=ALL_CUES),
}
