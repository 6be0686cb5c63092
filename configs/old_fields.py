"""Configs that also answer to the field names of version 0.1, so that a config file written for it still runs."""

from ml_collections import ConfigDict

from cellcycle_jax import old_names


def _renamed_parts() -> dict[str, str]:
    """{part of a field's path in version 0.1: the same part today}, of those that differ."""
    parts = {}
    for old, today in old_names.CONFIG_FIELDS.items():
        for old_part, part in zip(old.split("."), today.split("."), strict=True):
            if old_part != part:
                parts[old_part] = part
    return parts


_PARTS = _renamed_parts()
_RETIRED = {field.rpartition(".")[2]: field for field in old_names.RETIRED_FIELDS}
_VALUES = {field.rpartition(".")[2]: values for field, values in old_names.CONFIG_VALUES.items()}


class Config(ConfigDict):
    """A ConfigDict whose fields can be read and set under their old names too, which is noted on the terminal."""

    def __getitem__(self, key):
        """The value of a field."""
        return super().__getitem__(self._of_today(key))

    def __setitem__(self, key, value):
        """Set a field; a value with an old name gets that of today, and a field that does nothing any more is left."""
        if key in _RETIRED and key not in self._fields:
            old_names.note_retired(_RETIRED[key])
            return
        if isinstance(value, str):
            value = _VALUES.get(key, {}).get(value, value)
        super().__setitem__(self._of_today(key), value)

    def _of_today(self, key):
        today = _PARTS.get(key)
        if today is None or key in self._fields or today not in self._fields:
            return key
        old_names.note(key, today)
        return today
