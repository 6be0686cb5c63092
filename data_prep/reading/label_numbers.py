"""Numbers that others gave to nuclei, and small ones to work with: arrays are as long as the highest number."""

import numpy as np

HIGHEST = 1_000_000  # a number up to this is worked with as it is


def small(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels that may be an index into an array, and the numbers that they stand for.

    Args:
        labels: whole numbers of any type [H, W], 0 is background.

    Returns:
        (labels i32 [H, W], numbers [n + 1]): label k stands for numbers[k], and 0 for 0. Numbers up to HIGHEST are the
        labels themselves; beyond it, labels are 1..n in the order of the numbers.
    """
    highest = int(labels.max(initial=0))
    if highest <= HIGHEST:
        return labels.astype(np.int32), np.arange(highest + 1, dtype=np.int32)
    numbers = np.union1d(np.zeros(1, labels.dtype), labels)
    return np.searchsorted(numbers, labels).astype(np.int32), numbers
