"""Two networks, each trained on one half of the groups of the training split, that share no cell.

What both do to cells that neither has seen comes from the images, not from cells that were learnt by heart. The second
has another seed, and where it is wanted another architecture.
"""

import dataclasses
import pathlib
import shutil

import numpy as np

from cellcycle_jax import files
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.errors import InputRefused
from cellcycle_jax.runs import trained_run
from cellcycle_jax.runs.open_data import OpenData
from cellcycle_jax.training import loop

DEFAULT = "resnet"  # the other architecture of one that is not of this repository
OTHER = {"resnet": "nagao2020"}
LEAST_GROUPS = 4  # of training; fewer cannot be halved so that each half holds two


class HalfOfTraining(OpenData):
    """A data set of which some groups of the training split are shown, and all of the other splits."""

    def __init__(self, whole: OpenData, groups):
        """Cells are read through `whole`; `groups` are names of groups of training."""
        super().__init__(whole.folder)
        self.whole = whole
        self._groups = groups

    def crops(self, split: str, final: bool = False) -> crop_arrays.Crops:
        """As of `OpenData.crops`."""
        crops = self.whole.crops(split, final)
        if split != "train":
            return crops
        return crop_arrays.take(crops, np.isin(crops.group_id, self._groups))


@dataclasses.dataclass(frozen=True)
class HalfNetwork:
    """A network and the groups that it was not trained on.

    Attributes:
        run: the trained network.
        unseen: names of the groups of the training split that it has not seen.
    """

    run: trained_run.Run
    unseen: np.ndarray

    @property
    def training(self) -> crop_arrays.Crops:
        """The cells of training of both halves."""
        return crop_arrays.take_lines(self.run.data.whole.crops("train"), self.run.config.data.cell_lines)


def halve(crops: crop_arrays.Crops, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Names of groups in two halves; those of each cell line are divided among both.

    Raises:
        InputRefused: there are too few groups, or a half lacks a class.
    """
    rng = np.random.default_rng(seed)
    halves = ([], [])
    for line in np.unique(crops.cell_line):
        groups = rng.permutation(np.unique(crops.group_id[crops.cell_line == line]))
        shorter = int(len(halves[0]) > len(halves[1]))
        halves[shorter].extend(groups[::2])
        halves[1 - shorter].extend(groups[1::2])
    n_groups = len(np.unique(crops.group_id))
    if n_groups < LEAST_GROUPS:
        raise InputRefused(
            f"training split: {n_groups} groups cannot be halved; two networks that share no cell take {LEAST_GROUPS}, "
            "add fields or wells"
        )
    labelled = crops.label >= 0
    for half in halves:
        classes = np.unique(crops.label[labelled & np.isin(crops.group_id, half)])
        if len(classes) < len(crops.classes):
            raise InputRefused(
                "training split: a half of its groups lacks a class, so no network can be trained on it; add groups"
            )
    return np.array(halves[0]), np.array(halves[1])


def train_halves(run: trained_run.Run, folder, make_bar=loop.terminal_bar) -> list[HalfNetwork]:
    """Train both networks in FOLDER/half_1 and FOLDER/half_2; what is finished there is read back.

    Args:
        run: whose config they share, but for their seeds.
        folder: to write.
        make_bar: as of `loop.train`.

    Raises:
        InputRefused: as of `halve`.
    """
    halves = halve(run.crops_of_lines("train"), run.config.seed)
    return train_on(halves, run.config, run.data, folder, make_bar)


def train_on(halves, config, data: OpenData, folder, make_bar=loop.terminal_bar) -> list[HalfNetwork]:
    """As `train_halves`, for groups that are halved already and any training config."""
    networks = []
    for number, groups in enumerate(halves):
        out = pathlib.Path(folder) / f"half_{number + 1}"
        half = HalfOfTraining(data, groups)
        of_half = _config(config, number)
        _keep_only(out, of_half, groups)
        loop.train(of_half, half, out, make_bar)
        networks.append(HalfNetwork(trained_run.load_run(out, data=half), halves[1 - number]))
    return networks


def train_other(run: trained_run.Run, folder, make_bar=loop.terminal_bar) -> HalfNetwork:
    """A network of another architecture, trained on the second half in FOLDER/half_2_other; see `train_halves`."""
    halves = halve(run.crops_of_lines("train"), run.config.seed)
    config = _config(run.config, 1)
    with config.unlocked():
        config.model.name = OTHER.get(config.model.name, DEFAULT)
        config.model.options = ()
    out = pathlib.Path(folder) / "half_2_other"
    half = HalfOfTraining(run.data, halves[1])
    _keep_only(out, config, halves[1])
    loop.train(config, half, out, make_bar)
    return HalfNetwork(trained_run.load_run(out, data=half), halves[0])


def _keep_only(out: pathlib.Path, config, groups) -> None:
    """Remove a network that was trained, or begun, on other groups or by another config; write down what these are."""
    wanted = {"trained_on": sorted(groups.tolist()), "training": files.to_json(config.to_dict())}
    path = out / "groups.json"
    if out.is_dir() and not (path.is_file() and files.read_json(path) == wanted):
        shutil.rmtree(out)
    files.write_json(path, wanted)


def _config(config, number: int):
    """The training config of a half."""
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.train.eval_every = config.train.steps  # the last weights are taken, whatever the scores before
        config.seed = config.seed + 1 + number
        config.train.kept_weights = "last"
        config.train.patience = 0
        config.train.wandb = "off"
    return config
