"""What can be refused before any field is read: all that the config and the list of files decide."""

import operator

import pandas as pd

from cellcycle_jax import schema
from cellcycle_jax.errors import InputRefused
from data_prep.dataset import split
from data_prep.fields_to_cells import work_folder
from data_prep.labelling import external_table, methods
from data_prep.measurement.columns import refuse_unknown
from data_prep.reading.field import FieldFile


def refuse_before_reading(config, field_files: list[FieldFile], folder) -> None:
    """Refuse a config that does not fit the fields, as far as their list tells.

    Args:
        config: preparation config, its values in range.
        field_files: of all fields.
        folder: of the fields, beside which tables may lie.

    Raises:
        UsageError: the markers do not fit labels.method; a column of the config that nothing has; a unit to split by
            that the fields do not have.
        InputRefused: a table that cannot be read; fewer groups than splits; a class that no field has.
    """
    methods.refuse_markers(config.channels, config.labels)
    columns = _columns(config, field_files, folder)
    if config.source == "folder":  # other sources may know more of a cell than the list says
        _refuse_unknown_columns(config, columns)
    if config.labels.method == "none":
        return
    fields = _table(field_files)
    split.refuse_same_place(fields, config.split.by)
    if config.labels.method == "folder":
        _refuse_absent_classes(fields, config.labels)
    if not config.split.column:
        _refuse_few_groups(fields, config.split.by)


def _refuse_unknown_columns(config, columns) -> None:
    """The columns that the config names, and the tracks to split by, must be there."""
    if schema.TRACK not in columns:
        split.refuse_unknown_unit(config.split.by)
    if config.split.column:
        refuse_unknown("split.column", config.split.column, columns)
    if config.labels.method == "column":
        refuse_unknown("labels.column", config.labels.column, columns)


def _columns(config, field_files, folder) -> set[str]:
    """Names of the columns that cells will have of what is known before they are found."""
    columns = {schema.FIELD, *work_folder.SAID.values()}
    for file in field_files:
        columns.update(f"Metadata_{name}" for name, _ in file.extra)
    if config.labels.table:
        columns |= external_table.columns_of(config.labels.table, folder)
    return columns


def _table(field_files) -> pd.DataFrame:
    """One row per field, with what is known of it."""
    columns = {"field_id": schema.FIELD, **work_folder.SAID}
    values_of = operator.attrgetter(*columns)
    rows = [values_of(file) for file in field_files]
    return pd.DataFrame(rows, columns=list(columns.values()))


def _refuse_absent_classes(fields, labelling) -> None:
    """Every class must be named by some field."""
    labels = methods.by_folder(fields, None, labelling).label
    for number, name in enumerate(labelling.classes):
        if number not in labels:
            named = ", ".join(sorted(set(fields[schema.FIELD_LABEL]))) or "nothing"
            raise InputRefused(
                f"config.labels.method='folder': no field is of class {name!r}; names of fields say {named}; correct "
                "group label of config.name_pattern, labels.classes or labels.mapping"
            )


def _refuse_few_groups(fields, by: str) -> None:
    """Every cell line must have as many groups as there are splits, where the groups are known from the list."""
    if by not in ("field", "well", "plate", "cell_line"):
        return
    groups = split.groups(fields, by)
    lines = fields[schema.CELL_LINE] if by != "cell_line" else pd.Series("", fields.index)
    for line, names in groups.groupby(lines):
        if names.nunique() < len(schema.SPLITS):
            raise split.too_few_groups(line, names.nunique(), "", by, schema.SPLITS)
