"""Whether maps depend on what the network has learnt: random weights, permuted labels, other seeds, trivial maps.

A map that stays the same when the weights are drawn anew shows the image, not the network (Adebayo et al. 2018,
arXiv:1810.03292). Passing says little more than that: weights drawn anew still pass brightness on, so maps of random
networks may be alike among themselves (Binder et al. 2023, doi 10.1109/CVPR52729.2023.01550). Their similarity is
reported beside each verdict.
"""

from collections.abc import Callable, Iterator

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from cellcycle_jax.devices import mesh
from cellcycle_jax.explain.checks import map_complexity
from cellcycle_jax.explain.checks.check import Answer, Check, Evidence, Judgement, Question
from cellcycle_jax.explain.checks.map_similarity import (
    TRIVIAL,
    map_similarity,
    mean_over,
    pairwise,
    repeatability,
    row_of,
    rows_of,
    similarity,
)
from cellcycle_jax.explain.regions.explained_cells import COARSE_METHOD, DEFAULT_METHOD
from cellcycle_jax.models.network import Network
from cellcycle_jax.runs.state import init_variables
from cellcycle_jax.scoring.intervals import Interval, Resampling

_draw = jax.jit(init_variables, static_argnums=(0, 2))  # one program for all seeds
FLOOR = "two random networks"


def layer_order(network: Network, image_shape) -> tuple[str, ...]:
    """Names of the layers, the keys of variables["params"], in the order in which the network calls them.

    Args:
        network: of P classes.
        image_shape: (S, S, K).
    """
    called = []

    def record(next_call, args, kwargs, context):
        called.extend(context.module.path[:1])
        return next_call(*args, **kwargs)

    with nn.intercept_methods(record):
        image = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
        # A new function each time: of one that JAX has seen it keeps the shapes, and no layer would be called.
        jax.eval_shape(lambda network, image: network.logits(image), network, image)

    def first_call(name):
        return called.index(name) if name in called else -1  # weights of the model itself are in no layer

    return tuple(sorted(network.variables["params"], key=first_call))


def randomised_cascade(network: Network, image_shape, seed: int) -> Iterator[tuple[str, Network]]:
    """Draw the layers anew one after the other, from the output back to the input, and keep what was drawn.

    Args:
        network: the trained one; not changed.
        image_shape: (S, S, K).
        seed: of the weights, as `state.init_variables` draws them; of the seed that the model was trained with they
            are those that it began with, and so not independent of it.

    Yields:
        Name of the layer that was drawn last, and the network; after the last one nothing learnt is left.
    """
    on_all_devices = mesh.replicated(mesh.make_mesh())  # as those of a trained one, so that one program serves
    fresh = mesh.put_global(_draw(network.model, seed, tuple(image_shape)), on_all_devices)
    variables = {kind: dict(network.variables.get(kind, {})) for kind in fresh}
    for name in reversed(layer_order(network, image_shape)):
        for kind, layers in variables.items():
            if name in layers:
                variables = {**variables, kind: {**layers, name: fresh[kind][name]}}
        yield name, network.replace(variables=variables)


def weight_randomisation(maps, maps_of: Callable, network, image_shape, groups,
                         resampling: Resampling, threshold: float, draws: int = 2) -> dict:
    """How alike the maps of the trained network are to those after each layer has been drawn anew, and a verdict.

    Args:
        maps: f32 [N, h, w, C], of the trained network.
        maps_of: network -> maps of the same cells and classes, as a rule `methods.attribute` with all else fixed.
        network: the trained one.
        image_shape: (S, S, K).
        groups: [N], the unit of the intervals.
        draws: random networks, at least 2; the similarity of a cell is its mean over them.
        threshold: of the strength of the rank correlation, 0..1.
        resampling: how intervals are made; its seed is also that of the weights.

    Returns:
        "rows", one dict a stage and measure, as `similarity` returns them and "layer", the one drawn last; the last
        stage, FLOOR, compares the random networks among themselves. "strength": value, low and high with all layers
        drawn anew, "floor": the same between random networks, "threshold", and "passes": as `below` says. "complexity":
        how much more complex maps of random networks are, see `map_complexity.rise`.
    """
    stages = {}  # layer -> similarities to the trained network's maps, one a draw
    random_maps = []
    # Numbers that nobody trains with, as a small seed may be that of the training.
    seeds = np.random.default_rng(resampling.seed).integers(2**16, 2**31, draws)
    for seed in seeds.tolist():
        for layer, changed in randomised_cascade(network, image_shape, seed):
            changed_maps = maps_of(changed)
            stages.setdefault(layer, []).append(map_similarity(maps, changed_maps))
        random_maps.append(changed_maps)
    last_layer = list(stages)[-1]
    stages[FLOOR] = pairwise(random_maps)
    rows = []
    strengths = {}
    for layer, similarities in stages.items():
        of_layer = rows_of(mean_over(similarities), groups, resampling)
        strengths[layer] = Interval.of(row_of(of_layer, "strength")).without_counts()
        for row in of_layer:
            rows.append({"layer": layer, **row})
    strength = strengths[last_layer]
    return {
        "rows": rows,
        "strength": strength,
        "floor": strengths[FLOOR],
        "complexity": map_complexity.rise(maps, random_maps, groups, resampling),
        **_verdict(strength, threshold),
    }


def label_randomisation(maps, maps_permuted, groups, resampling: Resampling, threshold: float) -> dict:
    """How alike the maps of a network are to those of one trained on permuted labels, and a verdict.

    Args:
        maps: f32 [N, h, w, C] of the network.
        maps_permuted: f32 [N, h, w, C] of the one trained on permuted labels, of the same cells and classes.
        groups, threshold, resampling: as of `weight_randomisation`.

    Returns:
        "rows" as `similarity` returns them, "strength", "threshold" and "passes" as of `weight_randomisation`.
    """
    rows = similarity(maps, maps_permuted, groups, resampling)
    strength = Interval.of(row_of(rows, "strength")).without_counts()
    return {"rows": rows, "strength": strength, **_verdict(strength, threshold)}


def _verdict(strength: Interval, threshold: float) -> dict:
    return {"threshold": threshold, "passes": below(strength, threshold)}


def below(strength: Interval, limit: float) -> bool | None:
    """Whether a similarity is less than allowed: True or False for certain, else None, as of few groups."""
    if strength.is_known and strength.high < limit:
        return True
    if strength.is_known and strength.low >= limit:
        return False
    return None


def ask(evidence: Evidence) -> dict:
    """How alike maps are to those of other weights, labels and seeds, and to what needs no network."""
    return {name: _ask_of_method(evidence, name) for name in (DEFAULT_METHOD, COARSE_METHOD)}


def _ask_of_method(evidence, name) -> dict:
    cells = evidence.cells.few
    groups = cells.groups
    resampling = cells.resampling
    threshold = cells.run.config.explain.limits.map_correlation
    predicted = cells.logits.argmax(1)

    def maps_of(network):
        return cells.maps(name, predicted, network)

    maps = cells.maps_of_predicted(name)
    image_shape = cells.images.shape[1:]
    weights = weight_randomisation(maps, maps_of, cells.run.network, image_shape, groups, resampling, threshold)
    trivial = {}
    for trivial_name, trivial_map in TRIVIAL.items():
        trivial[trivial_name] = similarity(maps, trivial_map(cells.images), groups, resampling)
    labels = []
    maps_of_seeds = [maps]
    for other in evidence.others:
        other_maps = maps_of(other.network)
        if other.config.data.labels == "permuted":
            labels.append(label_randomisation(maps, other_maps, groups, resampling, threshold))
        else:
            maps_of_seeds.append(other_maps)
    seeds = None
    if len(maps_of_seeds) > 1:
        seeds = repeatability(maps_of_seeds, groups, resampling)
    return {"weights": weights, "trivial": trivial, "labels": labels or None, "seeds": seeds}


def judge_weights(results: dict, about: dict) -> Judgement:
    """Passed where maps of the network with its weights drawn anew are surely less alike than allowed."""
    weights = results[about["method"]]["weights"]
    sentence = (f"Maps of the network with re-initialised weights have a rank correlation of "
                f"{weights['strength'].text()} with its own; two random networks {weights['floor'].value:.2f}. "
                f"Allowed: below {weights['threshold']:g}.")
    remedy = "" if weights["passes"] is not None else "Labelled validation cells of more groups would tell."
    return Judgement(Answer.of(weights["passes"]), sentence, remedy=remedy)


def judge_complexity(results: dict, about: dict) -> Judgement:
    """Passed where maps of random networks are certainly more complex; never failed.

    What tells the classes may lie all over the cell, and then the trained network's maps are complex, too.
    """
    rise = results[about["method"]]["weights"]["complexity"]
    passed = True if rise.is_known and rise.low > 0 else None
    return Judgement(
        Answer.of(passed),
        f"With re-initialised weights the entropy of its maps' values is {rise.percent()} higher. Where what it reads "
        "lies all over the cell it need not be.",
    )


def judge_labels(results: dict, about: dict) -> Judgement:
    """Passed where maps of a network trained on permuted labels are surely less alike than allowed."""
    comparisons = results[about["method"]]["labels"]
    if comparisons is None:
        return Judgement(Answer.UNKNOWN, "No run with permuted labels was given (train --config.data.labels=permuted, "
                         "explain --others=RUN).")
    worst = max(comparisons, key=lambda comparison: np.nan_to_num(comparison["strength"].value, nan=np.inf))
    return Judgement(Answer.of(worst["passes"]), "Rank correlation with maps of a network that was trained on permuted "
                     f"labels: {worst['strength'].text()}. Allowed: below {worst['threshold']:g}.")


def judge_trivial(results: dict, about: dict) -> Judgement:
    """Passed where the map is surely less than the limit alike to each map that needs no network."""
    limit = about["limits"]["trivial_correlation"]
    answers = []
    words = []
    for name, rows in results[about["method"]]["trivial"].items():
        strength = Interval.of(row_of(rows, "strength"))
        answers.append(below(strength, limit))
        words.append(f"{name} {strength.text()}")
    passed = True
    if False in answers:
        passed = False
    elif None in answers:
        passed = None
    sentence = f"Rank correlation with trivial maps: {', '.join(words)}. Allowed: below {limit:g}."
    return Judgement(Answer.of(passed), sentence)


def judge_seeds(results: dict, about: dict) -> Judgement:
    """Passed where maps of networks of other seeds are certainly alike."""
    rows = results[about["method"]]["seeds"]
    if rows is None:
        return Judgement(Answer.UNKNOWN, "No run of another seed was given (explain --others=RUN).")
    correlation = Interval.of(row_of(rows, "spearman"))
    passed = None
    if correlation.is_known and correlation.low > 0:
        passed = True
    elif correlation.is_known and correlation.high <= 0:
        passed = False
    return Judgement(Answer.of(passed), f"Rank correlation between networks: {correlation.text()}.")


QUESTION = Question("randomisation", ask)
WEIGHTS = Check("the map depends on the trained weights", QUESTION, judge_weights, needed=True)
COMPLEXITY = Check("maps of random weights are more complex", QUESTION, judge_complexity)
LABELS = Check("the map depends on the labels", QUESTION, judge_labels)
TRIVIAL_MAPS = Check("the map is not a trivial image feature", QUESTION, judge_trivial)
SEEDS = Check("networks with other seeds give similar maps", QUESTION, judge_seeds)
