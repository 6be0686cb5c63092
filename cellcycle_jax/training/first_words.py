"""What training says before its first step: where it runs, and what it learns from."""

import numpy as np

from cellcycle_jax import schema


def say_where(environment: dict, members: list, placement: str) -> None:
    """Devices, where the cells lie, and how many models there are.

    Args:
        environment: what `metric_log.environment` returned.
        members: of the cohort.
        placement: 'device', 'host' or 'disk'.
    """
    devices = environment["devices"]
    processes = environment["processes"]
    where = f"{len(devices)} x {devices[0]} ({environment['platform']})"
    if processes > 1:
        where += f" of {processes} processes"
    models = f"; {len(members)} models as one program" if len(members) > 1 else ""
    print(f"training on {where}, cells on the {placement}{models}", flush=True)


def say_what_is_learnt(records: list[dict], splits: list) -> None:
    """Classes, channels and cells, as a reader of the terminal would check them.

    Args:
        records: what goes to the config.json of each run.
        splits: [crops of training, crops of validation].
    """
    classes = " or ".join(records[0]["classes"])
    choices = dict.fromkeys(", ".join(record["channels"]) for record in records)
    channels = "; ".join(choices)
    train, validation = splits
    to_learn = np.count_nonzero(train.label != schema.NO_LABEL)
    to_validate = np.count_nonzero(validation.label != schema.NO_LABEL)
    cells = f"{to_learn:,} labelled cells to learn from, {to_validate:,} to validate"
    print(f"{classes}, from {channels}: {cells}", flush=True)
