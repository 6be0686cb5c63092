"""The network of Nagao et al. and class activation maps of it in plain NumPy, double precision, gradients by hand.

Nothing of it is shared with the network and the maps that it is compared with. One image at a time.
"""

import numpy as np


def convolve(x, kernel, bias):
    """Each output pixel from its 3 x 3 neighbours, zeros around the image: [h, w, C] -> [h, w, D]."""
    h, w = x.shape[:2]
    around = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    return sum(around[i : i + h, j : j + w] @ kernel[i, j] for i in range(3) for j in range(3)) + bias


def convolve_back(dz, kernel):
    """Gradient at the input of `convolve` from that at its output."""
    h, w = dz.shape[:2]
    around = np.pad(dz, ((1, 1), (1, 1), (0, 0)))
    return sum(around[2 - i : 2 - i + h, 2 - j : 2 - j + w] @ kernel[i, j].T for i in range(3) for j in range(3))


def pool(x):
    """Largest of 2 x 2, an odd last row and column left out."""
    pooled = np.empty((x.shape[0] // 2, x.shape[1] // 2, x.shape[2]))
    for i, j in np.ndindex(pooled.shape[:2]):
        pooled[i, j] = x[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max((0, 1))
    return pooled


def pool_back(dy, x):
    """Gradient at the input of `pool`; equal pixels share it."""
    dx = np.zeros_like(x)
    for i, j in np.ndindex(dy.shape[:2]):
        window = x[2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        largest = window == window.max((0, 1))
        dx[2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = largest / largest.sum((0, 1)) * dy[i, j]
    return dx


def forward(params, image):
    """Activations of the convolutions, of the hidden layer, and logits."""
    activations, x = [], image
    for i in range(sum(name.startswith("convs_") for name in params)):
        layer = params[f"convs_{i}"]
        activations.append(np.maximum(convolve(x, layer["kernel"], layer["bias"]), 0))
        x = pool(activations[-1])
    hidden = np.maximum(x.reshape(-1) @ params["hidden"]["kernel"] + params["hidden"]["bias"], 0)
    return activations, hidden, hidden @ params["head"]["kernel"] + params["head"]["bias"]


def gradient(params, image, of_class, number):
    """Activation of convolution `number`, from 1, and the gradient of a class's logit at it."""
    activations, hidden, _ = forward(params, image)
    dx = params["hidden"]["kernel"] @ (params["head"]["kernel"][:, of_class] * (hidden > 0))
    dx = dx.reshape(pool(activations[-1]).shape)
    for i in range(len(activations) - 1, number - 1, -1):
        dx = convolve_back(pool_back(dx, activations[i]) * (activations[i] > 0), params[f"convs_{i}"]["kernel"])
    return activations[number - 1], pool_back(dx, activations[number - 1])


def grad_cam(a, g):
    """Mean gradient of a channel times the channel."""
    return (g.mean((0, 1)) * a).sum(-1)


def grad_cam_plus_plus(a, g):
    """As printed: g^2 / (2 g^2 + sum of A * g^3), times relu(g)."""
    below = 2 * g**2 + a.sum((0, 1)) * g**3
    alpha = np.divide(g**2, below, out=np.zeros_like(g), where=below != 0)
    return ((alpha * np.maximum(g, 0)).sum((0, 1)) * a).sum(-1)


def hires_cam(a, g):
    """Gradient times activation."""
    return (g * a).sum(-1)


def layer_cam(a, g):
    """Positive gradient times activation."""
    return (np.maximum(g, 0) * a).sum(-1)


def enlarged(a, side):
    """Bilinear, pixels as areas, the border repeated: [h, w] -> [side, side]."""
    place = np.clip((np.arange(side) + 0.5) * len(a) / side - 0.5, 0, len(a) - 1)
    columns = np.stack([np.interp(place, np.arange(len(a)), row) for row in a])
    return np.stack([np.interp(place, np.arange(len(a)), column) for column in columns.T], axis=1)


def score_cam(params, image, of_class, number):
    """The image seen through each channel, and its score above that of black."""
    activation = forward(params, image)[0][number - 1]
    black = forward(params, np.zeros_like(image))[2][of_class]
    rise = np.full(activation.shape[-1], -np.inf)
    for d in range(len(rise)):
        mask = enlarged(activation[..., d], len(image))
        if np.ptp(mask) > 0:
            mask = (mask - mask.min()) / np.ptp(mask)
            rise[d] = forward(params, image * mask[..., None])[2][of_class] - black
    weights = np.exp(rise - rise.max())
    return (weights / weights.sum() * activation).sum(-1)
