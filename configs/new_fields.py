"""How new fields are stored, for `launch.py predict`: one TIFF per field, names and pixel size from OME metadata.

    python launch.py predict --fields=DIR --out=DIR --config.channel_names=DNA --config.pixel_um=0.65

Only what says how files are named and read counts here. All else is as in training.
"""

from configs import base


def get_config():
    return base.preparation()
