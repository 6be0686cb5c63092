"""Known data sets, one file each. A source finds fields, reads one, and knows what the file names and labels mean.

Each module has `find_fields(folder, config) -> list[FieldFile]` and `read(file, config) -> Field`; one with a known
answer also has `truth(folder) -> table` and `truth_labels(folder, file) -> i32 [H, W]`. A new data set is one file
beside these and its name in `SOURCES`.
"""

import importlib
from types import ModuleType

SOURCES = (
    "folder",
    "simulated",
    "bbbc039",
    "dsb2018",
    "jurkat_ifc",
    "ht29_ph3",
    "jump",
    "nf1",
    "fucci_hacat",
    "nagao2020",
)


def source_of(name: str) -> ModuleType:
    """The module of the source called `name`, a line of `SOURCES`."""
    return importlib.import_module(f"data_prep.sources.{name}")
