"""Tables of what the workers of bench/gpu.py measured, and the sentence that decides about cohorts; pure functions.

A measurement is the message of a worker (bench/ours/gpu/, bench/peers/gpu/), to which `on`, its device, was added.
"""

import numpy as np

from bench.gpu_work import EMPTY_LAYER
from bench.results import Section
from bench.tables import Grid, Measure, Table, Text, left_out_lines, shown, shown_range

RATES = "On a GPU: products of matrices"
COHORTS = "On a GPU: cohorts"
TRAINING = "On a GPU: training"
RESUMING = "On a GPU: stop and resume"
ATTRIBUTION = "On a GPU: attribution"
LAYERS = "On a GPU: layers"
HEADINGS = (COHORTS, TRAINING, RATES, RESUMING, ATTRIBUTION, LAYERS)
BEST_PEER = "PyTorch, compiled, channels last, bf16"
FORMS = {"alone": "one after another", "grouped": "grouped convolutions", "patches": "batched matrix products"}
COHORT_TARGET = 5  # times as fast as one after another
GIB = 2**30
SAME_BITS = Measure("same bits (1: yes, 0: no)", larger_is_better=True, form=".0f")
DIFFERENCE = Measure("largest difference of a number of the state", larger_is_better=False)


def sections_of(measurements, failures, versions) -> list[Section]:
    """All sections of which something is known.

    Args:
        measurements: list of dicts.
        failures: {heading: {what was left out: why}}.
        versions: {library: version}.
    """
    makers = {
        RATES: _rates,
        COHORTS: _cohorts,
        TRAINING: _training,
        RESUMING: _resuming,
        ATTRIBUTION: _attribution,
        LAYERS: _layers,
    }
    sections = []
    for heading in HEADINGS:
        parts = makers[heading](measurements)
        parts += [Text(text) for text in left_out_lines(failures.get(heading, {}))]
        if parts:
            sections.append(Section(heading, parts, versions))
    return sections


def _of_kind(measurements, kind):
    return [found for found in measurements if found["kind"] == kind]


def _grouped(measurements, *fields):
    """{values of the fields: measurements with them}, in the order in which they came."""
    groups = {}
    for found in measurements:
        groups.setdefault(tuple(found[field] for field in fields), []).append(found)
    return groups


def _rates(measurements):
    tables = []
    for (size,), group in _grouped(_of_kind(measurements, "rate"), "size").items():
        values = {}
        devices = {}
        rounded = {}
        for found in group:
            name = f"{found['library']}, {found['precision']}"
            values[name] = found["values"]
            devices[name] = found["on"]
            if found["precision"] != "bfloat16":
                rounded[name] = "yes" if found["tf32"] else "no"
        title = f"Products of {size} x {size} matrices"
        tables.append(Table(title, "GFLOP/s", values, devices=devices, columns={"factors rounded to TF32": rounded}))
    return tables


def matmul_rates(measurements) -> dict[str, float]:
    """Median GFLOP/s that JAX reached with products of matrices, by dtype; what shares are taken of."""
    rates = {}
    for found in _of_kind(measurements, "rate"):
        if found["library"] == "JAX" and found["precision"] in ("bfloat16", "float32"):
            rates[found["precision"]] = float(np.median(found["values"]))
    return rates


def _training(measurements):
    limits = matmul_rates(measurements)
    tables = []
    for (network, batch), group in _grouped(_of_kind(measurements, "training"), "network", "batch").items():
        shares = {}
        for found in group:
            if found["dtype"] in limits:
                rate = np.median(found["values"]) * found["gflop"]
                shares[found["way"]] = f"{rate / limits[found['dtype']]:.1%}"
        columns = {"of the rate of matrices in its dtype": shares, "most memory, GiB": _memory(group, "way")}
        title = f"Network {network!r}, batches of {batch}"
        note = f"{group[0]['gflop']:.3g} GFLOP a crop."
        tables.append(Table(title, "crops/s", _values(group, "way"), reference=BEST_PEER,
                            devices=_devices(group, "way"), columns=columns, note=note))
    return tables


def _values(group, field):
    return {found[field]: found["values"] for found in group}


def _devices(group, field):
    return {found[field]: found["on"] for found in group}


def _memory(group, field):
    return {found[field]: f"{found['peak_bytes'] / GIB:.2f}" for found in group if found["peak_bytes"]}


def _cohorts(measurements):
    tables = []
    for network, dtype, members, forms in _cohort_groups(measurements):
        group = [found | {"way": FORMS[form]} for form, found in forms.items()]
        title = f"{members} models of the network {network!r}, {dtype}, batches of {group[0]['batch']}"
        tables.append(Table(title, "models x crops/s", _values(group, "way"), reference=FORMS["alone"],
                            devices=_devices(group, "way"), columns={"most memory, GiB": _memory(group, "way")}))
    if tables:
        tables.append(Text(verdict(measurements)))
    return tables


def _cohort_groups(measurements):
    """(network, dtype, number of models, {form: measurement}) in order; one model alone stands for every number."""
    groups = []
    for (network, dtype), group in _grouped(_of_kind(measurements, "cohort"), "network", "dtype").items():
        of_one = [found for found in group if found["form"] == "alone"]
        together = [found for found in group if found["form"] != "alone"]
        for members in sorted({found["members"] for found in together}):
            same_number = [found for found in together if found["members"] == members]
            groups.append((network, dtype, members, {found["form"]: found for found in of_one + same_number}))
    return groups


def verdict(measurements) -> str:
    """One sentence, with its numbers, on whether cohorts stay grouped convolutions."""
    complete = [group for group in _cohort_groups(measurements) if set(group[3]) == set(FORMS)]
    if not complete:
        return "Whether cohorts stay as they are is undecided: no number of models was measured in all three forms."
    # Of each network the most models, since that is what a study trains.
    largest = {(network, dtype): group for group in complete for network, dtype in [group[:2]]}
    winners = {_winner(forms) for _, _, _, forms in largest.values()}
    conclusions = {
        "grouped": "Cohorts stay as they are, grouped convolutions",
        "patches": "Cohorts should change to batched matrix products",
        "alone": "Cohorts should be trained one after another: no form as one program is faster",
        "": "Whether cohorts stay as they are is undecided: the rounds of the two fastest forms overlap",
    }
    conclusion = "Whether cohorts stay as they are depends on the network"
    if len(winners) == 1:
        conclusion = conclusions[winners.pop()]
    devices = {found["on"] for _, _, _, forms in largest.values() for found in forms.values()}
    if "cpu" in devices:
        conclusion = f"Measured on a CPU, which decides nothing for a GPU. {conclusion}"
    details = [_numbers(*group) for group in largest.values()]
    return f"{conclusion}: {'; '.join(details)}."


def _winner(forms) -> str:
    """The form whose slowest round is faster than every round of the others; '' where there is none."""
    for form, found in forms.items():
        others = [other["values"] for name, other in forms.items() if name != form]
        if min(found["values"]) > max(max(values) for values in others):
            return form
    return ""


def _numbers(network, dtype, members, forms):
    alone = forms["alone"]["values"]
    texts = []
    for form in ("grouped", "patches"):
        values = forms[form]["values"]
        times = np.median(values) / np.median(alone)
        texts.append(f"{shown(np.median(values))} ({shown_range(values)}) as {FORMS[form]}, which is {times:.2f} x")
    return (f"{members} models of {network!r} in {dtype} see {shown(np.median(alone))} ({shown_range(alone)}) models x "
            f"crops/s one after another, {' and '.join(texts)} (wanted: {COHORT_TARGET} x)")


def _resuming(measurements):
    rows = {}
    for found in _of_kind(measurements, "resume"):
        names = (found["network"], found["dtype"], found["stop"], found["condition"])
        rows[names] = {SAME_BITS.name: int(found["same_bits"]), DIFFERENCE.name: found["largest_difference"]}
    if not rows:
        return []
    heads = ("network", "dtype", "stopped between", "condition")
    return [Grid("Beside training straight through", heads, (SAME_BITS, DIFFERENCE), rows)]


def _attribution(measurements):
    tables = []
    for (network, batch), group in _grouped(_of_kind(measurements, "attribution"), "network", "batch").items():
        title = f"Network {network!r}, {batch} crops at a time, from host memory to host memory"
        tables.append(Table(title, "crops/s", _values(group, "way"), devices=_devices(group, "way"),
                            columns={"most memory, GiB": _memory(group, "way")}))
    return tables


def _layers(measurements):
    grids = []
    for (network, batch), group in _grouped(_of_kind(measurements, "layer"), "network", "batch").items():
        libraries = list(dict.fromkeys(found["library"] for found in group))
        measures = tuple(Measure(f"{library}, us", "us", larger_is_better=False, exact=False) for library in libraries)
        rows = {}
        for found in group:
            row = rows.setdefault((found["layer"], found["direction"]), {})
            row[f"{found['library']}, us"] = found["values"]
        texts = {"JAX times as fast": _quotients(rows), "TFLOP/s of JAX": _layer_rates(group)}
        title = f"Network {network!r}, {batch} crops, bfloat16"
        note = f"What is not much slower than {EMPTY_LAYER!r} is not resolved."
        grids.append(Grid(title, ("layer", "direction"), measures, rows, texts, note))
    return grids


def _quotients(rows):
    texts = {}
    for names, row in rows.items():
        if "JAX, us" in row and "PyTorch, us" in row:
            texts[names] = f"{np.median(row['PyTorch, us']) / np.median(row['JAX, us']):.2f}"
    return texts


def _layer_rates(group):
    texts = {}
    for found in group:
        if found["library"] == "JAX" and found["gflop"]:
            texts[found["layer"], found["direction"]] = shown(1e3 * found["gflop"] / np.median(found["values"]))
    return texts
