"""Parts of nuclei -> nuclei: which neighbours are one after all, and how near an object is to an ellipse."""

import numpy as np

# Two halves of one object are joined up to about this size, in typical diameters, where all else is equal.
JOINED_DIAMETER = 1.35


def joined(parts: np.ndarray, signal: np.ndarray, diameter_px: float) -> np.ndarray:
    """Join neighbours that make one nucleus, best pairs first.

    For one nucleus speak: together they are as good an ellipse as each alone, no dim line runs between them, they are
    equally bright, and not too large. The weights are rounded from a logistic regression on annotated nuclei.

    Args:
        parts: int [H, W], 0 is background.
        signal: f [H, W], brightness above the field's darkest parts.
        diameter_px: typical nuclear diameter.

    Returns:
        int [H, W]; a joined nucleus has the number of one of its parts.
    """
    brightness = np.bincount(parts.ravel(), signal.ravel(), parts.max() + 1)
    sums = np.concatenate([moments(parts), brightness[None]])
    name = np.arange(parts.max() + 1)
    first, second, length, border_signal = _borders(parts, signal)
    while len(first):
        border = border_signal / length
        score = _score(sums[:, first], sums[:, second], border, diameter_px)
        score -= 1e-9 * np.arange(len(score))  # no two alike
        best = np.zeros(len(name))
        np.maximum.at(best, first, score)
        np.maximum.at(best, second, score)
        chosen = (score > 0) & (score == best[first]) & (score == best[second])
        if not chosen.any():
            break
        into = np.arange(len(name))
        into[second[chosen]] = first[chosen]
        name = into[name]
        sums[:, first[chosen]] += sums[:, second[chosen]]
        first, second, length, border_signal = _merged(
            into[first],
            into[second],
            length,
            border_signal,
        )
    return name[parts]


def _score(first, second, border, diameter_px):
    """How much speaks for each pair being one nucleus, f64 [m]; above 0 more speaks for it than against.

    Args:
        first, second: f64 [7, m], moments and summed signal of the two parts.
        border: f64 [m], mean signal along the border between them.
        diameter_px: typical nuclear diameter.
    """
    area = first[0] + second[0]
    apart = (first[0] * stretch(first) + second[0] * stretch(second)) / area
    together = stretch(first + second)
    brightness_first = first[6] / first[0]
    brightness_second = second[6] / second[0]
    dim = np.minimum(brightness_first, brightness_second)
    bright = np.maximum(brightness_first, brightness_second)
    diameter = np.sqrt(area * 4 / np.pi) / diameter_px
    ellipse = 4 * np.log(np.clip(apart, 1, 1.6) / np.clip(together, 1, 1.6))
    no_dim_line = 1.6 * np.log(np.clip(border / dim, 0.4, 1.2))
    equally_bright = np.log(np.maximum(dim / bright, 0.3))
    too_large = np.log(np.clip(diameter, 0.5, 2.5) / JOINED_DIAMETER)
    return ellipse + no_dim_line + equally_bright - too_large


def moments(labels: np.ndarray) -> np.ndarray:
    """Area, sums of y, x, y^2, x^2 and xy of each object, f64 [6, n + 1]; those of two objects add up."""
    y, x = np.nonzero(labels)
    owner = labels[y, x]
    n = labels.max() + 1
    terms = (np.ones(len(y)), y, x, y * y, x * x, x * y)
    return np.stack([np.bincount(owner, term, n) for term in terms])


def stretch(sums: np.ndarray) -> np.ndarray:
    """Area of the ellipse of the same second moments over the area itself, [n]: 1 for an ellipse, else more.

    Args:
        sums: `moments` of the objects, f64 [6 or more, n].
    """
    area = np.maximum(sums[0], 1)
    y, x, yy, xx, xy = sums[1:6] / area
    variance_y = yy - y * y + 1 / 12  # a pixel is a square, not a point
    variance_x = xx - x * x + 1 / 12
    determinant = variance_y * variance_x - (xy - x * y) ** 2
    ellipse = 4 * np.pi * np.sqrt(np.maximum(determinant, 0))
    return np.maximum(ellipse / area, 1e-6)


def _borders(parts, signal):
    """Pairs of neighbours: both names, the border's length in px and the signal summed along it, [m] each."""
    below = _border_pixels(parts[1:], parts[:-1], signal[1:], signal[:-1])
    right = _border_pixels(parts[:, 1:], parts[:, :-1], signal[:, 1:], signal[:, :-1])
    first = np.concatenate([below[0], right[0]])
    second = np.concatenate([below[1], right[1]])
    border_signal = np.concatenate([below[2], right[2]])
    return _merged(first, second, np.ones(len(first)), border_signal)


def _border_pixels(parts, neighbours, signal, neighbour_signal):
    """Where two parts meet: both names and the mean signal of the two pixels."""
    meet = (parts != neighbours) & (parts > 0) & (neighbours > 0)
    border_signal = (signal[meet] + neighbour_signal[meet]) / 2
    return parts[meet], neighbours[meet], border_signal


def _merged(first, second, length, border_signal):
    """The same pairs, each once and none of a part with itself; length and signal are added up."""
    apart = first != second
    low = np.minimum(first, second)[apart]
    high = np.maximum(first, second)[apart]
    pairs = np.stack([low, high])
    pairs, pair_index = np.unique(pairs, axis=1, return_inverse=True)
    length = np.bincount(pair_index, length[apart])
    border_signal = np.bincount(pair_index, border_signal[apart])
    return pairs[0], pairs[1], length, border_signal
