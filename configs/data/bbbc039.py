"""BBBC039v1 (U2OS, Hoechst) to data set; the question is DNA content, 2N against 4N.

    python launch.py prepare --config=configs/data/bbbc039.py --fields=bbbc039_u2os_hoechst/images --out=DIR/data

https://bbbc.broadinstitute.org/BBBC039 (images.zip, masks.zip), licence CC0 (Caicedo et al., Cytometry A 2019). One 520
x 696 field per file, 12 bits kept in 16, IXMtest_<well>_s<site>_w1<id>.tif. The pixel size is not stated: lengths stay
in px. With --config.labels_folder=../masks the annotated nuclei are taken, from the folder masks beside images.

Labels are integrated Hoechst over the field's own G1 peak, so they come from the channel that a model sees: what the
scores can and cannot show is said in the README. Wells are the groups, as each holds another compound.
"""

from configs import base


def get_config():
    c = base.preparation()
    c.name_pattern = r"IXMtest_(?P<well>[A-P]\d\d)_s(?P<site>\d+)_"
    c.channel_names = ("DNA",)
    c.cell_line = "U2OS"
    c.crop.size_px = 64
    c.crop.assumed_um_per_px = -1.0  # the size of a crop was chosen in px of the fields
    c.labels.method = "dna_content"
    c.labels.classes = ("2N", "4N")
    c.split.by = "well"
    return c
