"""How fast crops are changed at random, and which share of a training step that takes.

    python bench/augment.py [--rounds 9] [--record]

Quarter turns, mirror images, rotation by up to 20 degrees and shifts by up to a tenth of the crop, drawn for each of 89
crops of 135 x 135 x 2, float32, bilinear, zero outside; beside OpenCV, PyTorch and Keras. The share is that by which
training steps of the paper's network get shorter without augmentation. Peers that are not installed are left out, and
the table says so; `--record` puts the tables into bench/RESULTS.md.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import numpy as np

from bench.turns import arguments, missing, publish, speeds, table
from bench.workers import OURS, PEERS, TUNED, Way, compare

CHANGES = (
    Way("cv2.warpAffine", PEERS, ("peers/augment_cv2.py",), TUNED),
    Way("Keras ImageDataGenerator, np.rot90", PEERS, ("peers/augment_keras.py",), TUNED),
    Way("torch affine_grid, grid_sample", PEERS, ("peers/augment_torch.py",), TUNED),
    Way("ours", OURS, ("ours/augment.py",), TUNED),
)
WITHOUT, WITH = "without augmentation", "with augmentation"
STEPS = (Way(WITHOUT, OURS, ("ours/train.py",), TUNED), Way(WITH, OURS, ("ours/train.py", "--augment"), TUNED))


def share(results) -> str:
    """The share of a step that augmentation takes, from the rounds of `STEPS`."""
    if results.left_out:
        return missing(results.left_out)
    shares = 1 - results.ratios(WITH, WITHOUT)
    return speeds(results, "crops") + table(("share of a step", "over the rounds"), [
        (f"{np.median(shares):.1%}", f"{shares.min():.1%} to {shares.max():.1%}")])


def main():
    """Measure and publish."""
    given = arguments(__doc__, rounds=9).parse_args()
    changes, steps = compare(CHANGES, given.rounds), compare(STEPS, given.rounds)
    body = ("Random changes of 89 crops of 135 x 135 x 2\n\n" + speeds(changes, "crops")
            + "Training steps of the paper's network, batches of 89\n\n" + share(steps))
    publish("Augmentation", changes.versions() | steps.versions(), body, given.record)


if __name__ == "__main__":
    main()
