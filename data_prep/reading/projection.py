"""z planes of the channels -> one plane each."""

import numpy as np
from scipy import ndimage

PROJECTIONS = ("max", "mean", "focus")
FOCUS_SIGMA = 1.0  # px: structure that is finer is camera noise


def project(stacks, how: str = "max") -> list[np.ndarray]:
    """One plane per channel; the number type stays.

    'max' keeps each pixel's brightest value, 'mean' the average, rounded for integers. 'focus' keeps one measured
    plane, the same for all channels: a nucleus and its Golgi then lie at the same height, and a channel that shows
    nothing does not choose by its noise.

    Args:
        stacks: per channel [Z, H, W]; a channel may have a single plane where others have several.
        how: one of PROJECTIONS.
    """
    best = best_plane(stacks) if how == "focus" else 0
    return [_projected(stack, how, best) for stack in stacks]


def _projected(stack, how, best):
    """One plane of a channel [Z, H, W]; `best`: the plane that is in focus."""
    if how == "mean":
        return _mean(stack)
    if how == "focus":
        return stack[best] if len(stack) > 1 else stack[0]
    return stack.max(axis=0)


def best_plane(stacks) -> int:
    """The plane with the largest sharpness, summed over the channels [Z, H, W] with several; 0 where none has several.

    Sharpness is the variance of the Laplacian of the smoothed plane, relative to the sharpest plane of its channel so
    that the brightest channel does not decide alone (Pertuz et al., Pattern Recognition 2013, operator LAPV).
    """
    total = 0.0
    for stack in stacks:
        if len(stack) == 1:
            continue
        sharpness = np.array([_sharpness(plane) for plane in stack])
        total = total + sharpness / max(sharpness.max(), np.finfo(np.float32).tiny)
    return int(np.argmax(total))


def _sharpness(plane):
    return ndimage.gaussian_laplace(plane.astype(np.float32), FOCUS_SIGMA).var()


def _mean(stack):
    mean = stack.mean(axis=0, dtype=np.float64)
    if np.issubdtype(stack.dtype, np.integer):
        mean = np.rint(mean)
    return mean.astype(stack.dtype)
