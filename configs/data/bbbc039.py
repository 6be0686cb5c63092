"""BBBC039v1 (U2OS, Hoechst) to data set; the question is DNA content, 2N against 4N.

    python launch.py prepare --config=configs/data/bbbc039.py --fields=bbbc039_u2os_hoechst --out=DIR/data

Labels are integrated Hoechst over the field's own G1 peak, so they come from the channel that a model sees: what the
scores can and cannot show is said in the README. Wells are the groups, as each holds another compound.
"""

from configs import base


def get_config():
    c = base.preparation()
    c.source = "bbbc039"
    c.channel_names = ("DNA",)
    c.cell_line = "U2OS"
    c.crop.size_px = 64
    c.crop.assumed_um_per_px = -1.0  # the size of a crop was chosen in px of the fields
    c.labels.method = "dna_content"
    c.labels.classes = ("2N", "4N")
    c.split.by = "well"
    return c
