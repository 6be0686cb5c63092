"""Known data sets, one file each. A source finds fields, reads one, and knows what the file names and labels mean.

Each module has `find_fields(folder, config) -> list[FieldFile]` and `read(file, config) -> Field`. It may also have

    labels(file, config) -> integers [H, W] or None label image made elsewhere, None: segment the field
    objects(file, labels, config) -> DataFrame      index: value in labels; Metadata_ columns known of each object, and
                                                    crop_y, crop_x (px) where its crop is centred elsewhere
    NOTES: tuple of sentences                       what scores on it cannot show, for reports
    truth(folder) -> DataFrame                      known answer, one row per cell
    truth_labels(folder, file) -> i32 [H, W]        the cells of `truth` as they were drawn

A new data set is one file beside these and its name in `SOURCES`; one that `folder` reads is a config only.
"""

import importlib
from types import ModuleType

from cellcycle_jax import extensions
from cellcycle_jax.errors import UsageError

SOURCES = ("folder", "simulated", "dsb2018", "jurkat_ifc", "fucci_hacat", "nagao2020")


def is_own(name: str) -> bool:
    """Whether a source in a config is the path of a module outside the repository."""
    return name not in SOURCES


def source_of(name: str) -> ModuleType:
    """The module of a source: an entry of `SOURCES`, or `package.module` outside the repository.

    Raises:
        UsageError: there is no such source, or its module cannot be imported.
    """
    if not is_own(name):
        return importlib.import_module(f"data_prep.sources.{name}")
    if "." not in name:
        raise UsageError(f"config.source={name!r}; allowed: {', '.join(SOURCES)}, or package.module of your own")
    return extensions.load_module(name, "source")
