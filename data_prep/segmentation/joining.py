"""Parts of nuclei -> nuclei: which neighbours are one after all, and how near an object is to an ellipse."""

import numpy as np

JOINED_DIAMETER = 1.35  # two halves of one object are joined up to about this size, where all else is equal


def joined(parts: np.ndarray, signal: np.ndarray, diameter_px: float) -> np.ndarray:
    """Join neighbours that make one nucleus, best pairs first.

    For one nucleus speak: together they are as good an ellipse as each alone, no dim line runs between them, they are
    equally bright, and not too large. The weights are rounded from a logistic regression on annotated nuclei.
    """
    shape = np.concatenate([moments(parts), np.bincount(parts.ravel(), signal.ravel(), parts.max() + 1)[None]])
    name = np.arange(parts.max() + 1)
    one, two, length, border = _borders(parts, signal)
    while len(one):
        area, alone, both = shape[0], stretch(shape[:6]), stretch(shape[:6, one] + shape[:6, two])
        together = area[one] + area[two]
        before = (area[one] * alone[one] + area[two] * alone[two]) / together
        dim, bright = np.sort(np.stack([shape[6, one] / area[one], shape[6, two] / area[two]]), axis=0)
        score = (4 * np.log(np.clip(before, 1, 1.6) / np.clip(both, 1, 1.6))
                 + 1.6 * np.log(np.clip(border / length / dim, 0.4, 1.2)) + np.log(np.maximum(dim / bright, 0.3))
                 - np.log(np.clip(np.sqrt(together * 4 / np.pi) / diameter_px, 0.5, 2.5) / JOINED_DIAMETER))
        score -= 1e-9 * np.arange(len(score))  # no two alike
        best = np.zeros(len(name))
        np.maximum.at(best, np.concatenate([one, two]), np.concatenate([score, score]))
        chosen = (score > 0) & (score == best[one]) & (score == best[two])
        if not chosen.any():
            break
        into = np.arange(len(name))
        into[two[chosen]] = one[chosen]
        name = into[name]
        shape[:, one[chosen]] += shape[:, two[chosen]]
        one, two, length, border = _merged(into[one], into[two], length, border)
    return name[parts]


def moments(labels: np.ndarray) -> np.ndarray:
    """Area, sums of y, x, y^2, x^2 and xy of each object, f64 [6, n + 1]; those of two objects add up."""
    y, x = np.nonzero(labels)
    of, n = labels[y, x], labels.max() + 1
    return np.stack([np.bincount(of, weight, n) for weight in (np.ones(len(y)), y, x, y * y, x * x, x * y)])


def stretch(sums: np.ndarray) -> np.ndarray:
    """Area of the ellipse of the same second moments over the area itself, [n]: 1 for an ellipse, else more."""
    area = np.maximum(sums[0], 1)
    y, x, yy, xx, xy = sums[1:6] / area
    spread = (yy - y * y + 1 / 12) * (xx - x * x + 1 / 12) - (xy - x * y) ** 2  # a pixel is a square, not a point
    return np.maximum(4 * np.pi * np.sqrt(np.maximum(spread, 0)) / area, 1e-6)


def _borders(parts, signal):
    """Pairs of neighbours: both names, the border's length in px and the signal summed along it."""
    sides = []
    for a, b in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        meet = (parts[a] != parts[b]) & (parts[a] > 0) & (parts[b] > 0)
        sides.append([parts[a][meet], parts[b][meet], np.ones(meet.sum()), (signal[a][meet] + signal[b][meet]) / 2])
    return _merged(*(np.concatenate(column) for column in zip(*sides, strict=True)))


def _merged(one, two, length, border):
    """The same pairs, each once and none of a part with itself; length and signal are added up."""
    apart = one != two
    low, high = np.minimum(one, two)[apart], np.maximum(one, two)[apart]
    pairs, which = np.unique(np.stack([low, high]), axis=1, return_inverse=True)
    return *pairs, np.bincount(which, length[apart]), np.bincount(which, border[apart])
