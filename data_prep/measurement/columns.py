"""Columns of the table are joined side by side, and none ever stands in the place of another."""

import pandas as pd

from cellcycle_jax.errors import InputRefused, UsageError


class Columns(dict):
    """{column: values} that grows by |= and refuses a column which is there already."""

    def __ior__(self, others):
        """Add the columns of a dict; see `refuse_twice`."""
        refuse_twice([*self, *others])
        self.update(others)
        return self


def beside(left: pd.DataFrame, right: pd.DataFrame) -> pd.DataFrame:
    """Two tables with the same rows as one; see `refuse_twice`."""
    refuse_twice([*left.columns, *right.columns])
    return pd.concat([left, right], axis=1)


def refuse_twice(names) -> None:
    """Refuse columns of which two have one name.

    Raises:
        InputRefused: names the column.
    """
    earlier = set()
    for name in names:
        if name in earlier:
            raise InputRefused(
                f"two columns of the table are called {name}; "
                "rename the channel, or the column of the sidecar or of labels.table, that it is from"
            )
        earlier.add(name)


def refuse_unknown(field: str, name: str, columns) -> None:
    """Refuse a config field that names a column which is not there.

    Args:
        field: of the config, e.g. "labels.column".
        name: what it holds, without Metadata_.
        columns: names of the columns that there are; those that count begin with Metadata_.

    Raises:
        UsageError: names the columns that there are.
    """
    if f"Metadata_{name}" in columns:
        return
    metadata = sorted(column for column in columns if column.startswith("Metadata_"))
    present = [column.removeprefix("Metadata_") for column in metadata]
    raise UsageError(
        f"config.{field}={name!r}: no such column; found: {', '.join(present) or 'none'}; "
        "name a column of the sidecar, or of the table in config.labels.table"
    )
