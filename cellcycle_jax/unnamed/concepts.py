"""What has no name, divided into a few concepts: directions in the activations that few units make up.

Of the activations of a network's last convolution, mean over the image, what measurements and nuisances explain is
taken off, and the rest is weighed by how far it moves what is left of the output. Its sparse principal components (Zou
et al., Sparse principal component analysis, 2006, doi 10.1198/106186006X113430), those that one family of measurements
of the bank follows most taken together, are the concepts: each adds an amount to what is left of the output of a cell.
They are learnt on cells of training that the network has not seen, and all that is said of them is measured on
validation cells.
"""

import dataclasses
from typing import Any

import flax.struct
import jax.numpy as jnp
import numpy as np
from sklearn.decomposition import SparsePCA
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler

from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.explain.attribution.activations import tap_names
from cellcycle_jax.models.network import Network
from cellcycle_jax.scoring import metrics
from cellcycle_jax.scoring.intervals import Interval, Resampling
from cellcycle_jax.unnamed import parts
from cellcycle_jax.unnamed.halves import HalfNetwork
from cellcycle_jax.unnamed.named_part import PENALTIES

CONCEPTS = 5  # that are looked for
SHOWN = 3  # of most share
SPARSITY = 1.0  # of the components, `alpha` of SparsePCA


@dataclasses.dataclass(frozen=True)
class Concepts:
    """The concepts of one network; C of them, in activations of D units.

    Attributes:
        cell_id: text [N], cells of validation and all of training.
        is_training: bool [N].
        amounts: f64 [N, C], what each adds to what is left of the output, in its standard deviations.
        directions: f64 [D, C]: the amount follows the mean activations times these, but for a constant and for what
            measurements explain.
        tap: name of the activation.
    """

    cell_id: np.ndarray
    is_training: np.ndarray
    amounts: np.ndarray
    directions: np.ndarray
    tap: str

    def of(self, cell_ids) -> np.ndarray:
        """Amounts f64 [M, C] of cells, NaN of those that are not known."""
        row_of_cell = dict(zip(self.cell_id.tolist(), range(len(self.cell_id)), strict=True))
        rows = np.array([row_of_cell.get(cell, -1) for cell in cell_ids])
        return np.where((rows >= 0)[:, None], self.amounts[rows], np.nan)

    def together(self, names) -> "Concepts":
        """The same with those added up that have one name; `names` has C."""
        if not len(names):
            return self
        _, member = np.unique(names, return_inverse=True)
        is_of = (member[:, None] == np.arange(member.max() + 1)).astype(float)
        return dataclasses.replace(self, amounts=self.amounts @ is_of, directions=self.directions @ is_of)


def learn(network: HalfNetwork, fitted, tables) -> Concepts:
    """The concepts of a network.

    Args:
        network: trained on a half of the groups.
        fitted: `studied_cells.Fitted` of it.
        tables: `studied_cells.Tables`.
    """
    run = network.run
    crops = []
    for one in (run.crops_of_lines("validation"), network.training):
        crops.append(crop_arrays.take(one, np.isin(one.cell_id, tables.named.index)))
    means = [run.predict(one)[1] for one in crops]
    tap = tap_names(run.network, (run.crop_px, run.crop_px, len(run.channels)))[-1]
    activations = np.concatenate([of_split[tap] for of_split in means]).astype(np.float64)
    cell_id = np.concatenate([one.cell_id for one in crops])
    is_training = np.arange(len(cell_id)) >= len(crops[0])
    known = np.hstack([tables.named.loc[cell_id], tables.nuisance.loc[cell_id]]).astype(np.float64)
    # Only cells that the network has not seen may teach what its activations mean.
    left = dict(zip(fitted.cell_id.tolist(), fitted.left, strict=True))
    target = np.array([left.get(cell, np.nan) for cell in cell_id])
    fit = is_training & np.isfinite(target)
    classes = tables.label.loc[cell_id].to_numpy(str)
    amounts, directions = divide(activations, known, target, fit, classes, run.config.seed)
    return Concepts(cell_id, is_training, amounts, directions, tap)


def divide(activations, known, target, fit, classes, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Amounts of the concepts, and their directions.

    Args:
        activations: f64 [N, D].
        known: f64 [N, F], measurements and nuisances; NaN where missing.
        target: f64 [N], what is left of the output.
        fit: bool [N], cells from which all is learnt.
        classes: text [N], of each cell; all that tells the classes goes together, so only what varies within them can
            be divided.
        seed: of the components.

    Returns:
        f64 [N, C] and f64 [D, C], as of `Concepts`.
    """
    known = np.nan_to_num((known - np.nanmean(known[fit], axis=0)) / _spread(np.nanstd(known[fit], axis=0)))
    scaler = StandardScaler().fit(activations[fit])
    scaled = scaler.transform(activations)
    scaled = scaled - RidgeCV(PENALTIES).fit(known[fit], scaled[fit]).predict(known)
    spread = _spread(np.std(target[fit]))
    weight = RidgeCV(PENALTIES).fit(scaled[fit], target[fit] / spread).coef_
    weighed = scaled * np.abs(weight)
    mean = weighed[fit].mean(0)
    number = min(CONCEPTS, weighed.shape[1])
    within = np.column_stack([parts.within_fields(unit, classes[fit]) for unit in weighed[fit].T])
    components = SparsePCA(number, alpha=SPARSITY * _scale(within), random_state=seed, max_iter=200)
    atoms = components.fit(within).components_
    used = np.abs(atoms).sum(1) > 0
    atoms = atoms[used]
    # Least squares in the atoms, so that an amount is a linear function of the activations.
    reading = np.linalg.pinv(atoms)
    adds = atoms @ np.sign(weight)
    amounts = ((weighed - mean) @ reading) * adds
    per_unit = np.abs(weight) / _spread(scaler.scale_)
    return amounts, per_unit[:, None] * reading * adds


def _spread(values):
    return np.where(values > 0, values, 1.0)


def _scale(weighed) -> float:
    """How strong a penalty has to be to count beside these values."""
    return float(np.sqrt((weighed**2).sum(1)).mean())


@dataclasses.dataclass(frozen=True)
class Said:
    """What is said of a concept, on validation cells.

    Attributes:
        number: its column of `Concepts.amounts`.
        share: of the difference between the classes in what has no name.
        removal: change of the area under the ROC curve of the output where it is taken off.
        stability: correlation within fields with the concept of the other network that is most like it on training
            cells.
    """

    number: int
    share: Interval
    removal: Interval
    stability: Interval


def describe(own: Concepts, other: Concepts, network: int, cells, resampling: Resampling) -> list[Said]:
    """The concepts of a network that are certainly part of what has no name, the largest share first.

    Args:
        own, other: of the network and of the other one.
        network: its number, 0 or 1.
        cells: `hint.ValidationCells`.
        resampling: how intervals are made.
    """
    if not own.amounts.shape[1] or not other.amounts.shape[1]:
        return []
    crops = cells.crops
    contrast = parts.class_contrast(cells.of_class, crops.field_id)
    amounts = own.of(crops.cell_id)
    output = cells.outputs.output[network]
    left = cells.outputs.left[network]
    spread = left.std() if left.std() > 0 else 1.0
    whole = (left - left.mean()) / spread * contrast
    products = (amounts - amounts.mean(0)) * contrast[:, None]

    def shares_of(weights):
        total = weights @ whole / weights.sum(1)
        each = weights @ products / weights.sum(1, keepdims=True)
        return {number: (of_concept, total) for number, of_concept in enumerate(each.T)}

    shares = resampling.ratios(shares_of, crops.group_id, cells.of_class)
    twins = _twins(own, other)
    said = []
    for number in sorted(shares, key=lambda one: -np.nan_to_num(shares[one].value)):
        if len(said) == SHOWN or not shares[number].low > 0:
            break
        without = output - amounts[:, number] * spread
        removal = _auroc_difference(without, output, cells.of_class, crops.group_id, resampling)
        of_twin = other.of(crops.cell_id)[:, twins[number]]
        stability = _correlation(amounts[:, number], of_twin, crops.field_id, crops.group_id, resampling)
        said.append(Said(number, shares[number], removal, stability))
    return said


def _twins(first: Concepts, second: Concepts) -> list[int]:
    """For each concept of a network the one of another that follows it most closely on training cells."""
    of_first = first.amounts[first.is_training]
    of_second = second.of(first.cell_id[first.is_training])
    n_concepts = of_first.shape[1]
    with np.errstate(invalid="ignore"):
        correlation = np.corrcoef(of_first, of_second, rowvar=False)[:n_concepts, n_concepts:]
    return np.nan_to_num(correlation, nan=-1.0).argmax(1).tolist()


def _auroc_difference(without, output, of_class, groups, resampling: Resampling) -> Interval:
    def difference(weights):
        changed = metrics.binary_auroc(of_class, without, weights)
        return {"difference": changed - metrics.binary_auroc(of_class, output, weights)}

    return resampling.intervals(difference, groups, label=of_class.astype(int))["difference"]


def _correlation(first, second, fields, groups, resampling: Resampling) -> Interval:
    first = parts.within_fields(first, fields)
    second = parts.within_fields(second, fields)

    def correlation(weights):
        scale = np.sqrt((weights @ first**2) * (weights @ second**2))
        return {"r": weights @ (first * second) / np.where(scale > 0, scale, np.nan)}

    return resampling.intervals(correlation, groups)["r"]


@flax.struct.dataclass
class Reading:
    """A network whose margin of the second class is the amount of a concept, but for a constant; for attribution.

    Attributes:
        network: that has the concept.
        direction: f32 [D], a column of `Concepts.directions`.
        tap: of the activation.
    """

    network: Network
    direction: Any
    tap: str = flax.struct.field(pytree_node=False)

    @property
    def model(self):
        """The module whose taps are read."""
        return self.network.model

    @property
    def variables(self):
        """Its weights."""
        return self.network.variables

    def __call__(self, image, perturbations: dict | None = None):
        """Logits f32 [B, 2] and taps of images f32 [B, S, S, K]."""
        _, taps = self.network(image, perturbations)
        amount = taps[self.tap].mean(axis=(1, 2)) @ self.direction
        return jnp.stack([-amount / 2, amount / 2], axis=1), taps

    def logits(self, image):
        """Logits f32 [B, 2]."""
        return self(image)[0]


def reading(network: HalfNetwork, concepts: Concepts, number: int) -> Reading:
    """The network that reads one concept."""
    direction = jnp.asarray(concepts.directions[:, number], jnp.float32)
    return Reading(network.run.network, direction, concepts.tap)
