"""How fast crops are changed at random, and which share of a training step that takes.

    python bench/augment.py [--rounds 9] [--record] [--json FILE]

Quarter turns, mirror images, rotation by up to 20 degrees and shifts by up to a tenth of the crop, drawn for each of 89
crops of 135 x 135 x 2, float32, bilinear, zero outside; beside OpenCV, PyTorch and Keras. The share is that by which
training steps of the paper's network get shorter without augmentation. Peers that are not installed are left out, and
the table says so; bench/README.md says where results go.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from bench.command_line import script_parser
from bench.results import Section, publish
from bench.tables import Grid, Measure, of_workers
from bench.workers import OURS, PEERS, TUNED, Way, compare

CHANGES = (
    Way("cv2.warpAffine", PEERS, ("peers/augment_cv2.py",), TUNED),
    Way("Keras ImageDataGenerator, np.rot90", PEERS, ("peers/augment_keras.py",), TUNED),
    Way("torch affine_grid, grid_sample", PEERS, ("peers/augment_torch.py",), TUNED),
    Way("ours", OURS, ("ours/augment.py",), TUNED),
)
WITHOUT = "without augmentation"
WITH = "with augmentation"
STEPS = (
    Way(WITHOUT, OURS, ("ours/train.py",), TUNED),
    Way(WITH, OURS, ("ours/train.py", "--augment"), TUNED),
)
SHARE = Measure("share of a step", larger_is_better=False, exact=False, form=".1%")


def share_of_a_step(results) -> list:
    """The share of a step that augmentation takes, from the rounds of `STEPS`; [] where one of them is left out."""
    if results.left_out:
        return []
    shares = 1 - results.ratios(WITH, WITHOUT)
    return [Grid("What augmentation takes", ("of",), (SHARE,), {("the paper's network",): {SHARE.name: shares}})]


def main():
    """Measure and publish."""
    given = script_parser(__doc__, rounds=9).parse_args()
    changes = compare(CHANGES, given.rounds)
    steps = compare(STEPS, given.rounds)
    parts = [
        of_workers("Random changes of 89 crops of 135 x 135 x 2", "crops/s", changes),
        of_workers("Training steps of the paper's network, batches of 89", "crops/s", steps),
        *share_of_a_step(steps),
    ]
    publish(given, Section("Augmentation", parts, changes.versions() | steps.versions()))


if __name__ == "__main__":
    main()
