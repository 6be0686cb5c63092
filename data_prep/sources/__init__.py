"""Known data sets, one file each. A source finds fields, reads one, and knows what the file names and labels mean.

Each module has `find_fields(folder, config) -> list[FieldFile]` and `read(file, config) -> Field`; one with a known
answer also has `truth(folder) -> table` and `truth_labels(folder, file) -> i32 [H, W]`.
"""

from data_prep.sources import bbbc039, folder, simulated

SOURCES = {"folder": folder, "simulated": simulated, "bbbc039": bbbc039}
