"""Does the network read a mark that lies at the same place in the picture of each cell?

What software draws into pictures, such as the seed of a nucleus or the number of a cell, lies at the same place of each
crop, to the pixel. Structures lie elsewhere in each cell; those that surround the centre, such as the rim of the
nucleus, do so on all sides. So of each place it is measured how much brighter its finest detail is than at the three
places that lie a quarter, a half and three quarters of a turn further. The place where this tells a class best is
chosen on cells of training, and how well it does so on the others says whether there may be a mark. What always lies in
the very middle of a nucleus looks like one, so it is never an alarm.
"""

import numpy as np
from scipy import ndimage

from cellcycle_jax.dataset import crop_arrays, model_input
from cellcycle_jax.errors import result_or_reason
from cellcycle_jax.explain.checks import by_itself, camera_pixels, middle_channel, nuisances
from cellcycle_jax.explain.checks.check import Answer, Check, Evidence, Judgement, Question
from cellcycle_jax.explain.checks.compared_cells import labelled_cells
from cellcycle_jax.explain.regions.explained_cells import explained_classes, resampling_of

FINE_PX = 0.7  # sd of the Gaussian that takes off noise, px of the crop
COARSE_PX = 2.0  # sd of the Gaussian of what surrounds a detail, px of the crop
FAINT = 0.05  # of the brightest surroundings in the crop: what is added to those of a detail, which is relative to them
MIDDLE_PX = 1.2  # from the centre of the crop, within which turned places are the same ones
MOST = 0.7  # area under the ROC curve that structures do not reach, since they lie elsewhere in each cell
TINY = np.finfo(np.float32).tiny
WORDS = "a detail at one place of the pictures"


def ask(evidence: Evidence) -> dict:
    """What the details at one place tell, see `_ask`, and why nothing is known, "" where it is."""
    results, why = result_or_reason(_ask, evidence)
    return {**(results or {}), "why": why}


def _ask(evidence: Evidence) -> dict:
    """See `ask`.

    Returns:
        places: [{class, channel, down_px, across_px}], where the details tell each class best on cells of training;
        crop_px; class_auroc: how well they predict the class of validation cells; network_auroc: how well the network
        does; share and within_class: see `nuisances.told`. Intervals are of the run's own level, since there is no
        alarm.

    Raises:
        InputRefused: labelled cells of training are of one class.
    """
    run = evidence.cells.run
    resampling = resampling_of(run)
    crops = evidence.compared.crops
    trained_on = labelled_cells(run, "train")
    mask = run.config.data.mask
    channels = crop_arrays.channel_indices(crops, run.channels)
    class_indices = explained_classes(crops.classes)
    places = telling_places(trained_on, class_indices, channels, mask)
    of_training = details_at(trained_on, places, channels, mask)
    of_cells = details_at(crops, places, channels, mask)
    prob = nuisances.class_probabilities(of_training, trained_on.label, of_cells, len(crops.classes))
    rows = []
    for class_index, (down, across, channel) in zip(class_indices, places, strict=True):
        name = crops.channels[channels[channel]]
        rows.append({"class": crops.classes[class_index], "channel": name, "down_px": down, "across_px": across})
    return {
        "places": rows,
        "crop_px": int(crops.image.shape[1]),
        "class_auroc": resampling.scores(crops.label, prob, crops.group_id, ("auroc",))["auroc"],
        "network_auroc": by_itself.auroc_of_network(evidence.compared, resampling),
        **nuisances.told(prob, of_cells, evidence.compared, resampling),
    }


def details(crops: crop_arrays.Crops, channels, mask: str) -> np.ndarray:
    """How much brighter each place is than its surroundings and than the places a turn further, f32 [N, S, S, K].

    Relative to the surroundings, so that how bright a cell is cancels.

    Args:
        crops: N cells, pixels in memory.
        channels: positions of the K channels that the network is shown.
        mask: a key of `model_input.MASKS`; 0 where it shows nothing.
    """
    images = camera_pixels.camera_units(crops)[..., list(channels)]
    shown = model_input.visible(crops.compartments, mask)[..., None].astype(np.float32)
    fine = _smoothed(images, shown, FINE_PX)
    coarse = _smoothed(images, shown, COARSE_PX)
    around = np.abs(coarse)
    most = around.max(axis=(1, 2), keepdims=True)
    detail = shown * (fine - coarse) / np.maximum(around + FAINT * most, TINY)
    return _against_turned(detail)


def _against_turned(detail) -> np.ndarray:
    """Details f32 [N, S, S, K] less their mean at the places turned by one to three quarters about the crop's centre.

    The centre is the pixel S // 2. If S is even, the first row and column have no such places, and are 0.
    """
    side = detail.shape[1]
    first = 1 - side % 2
    whole = detail[:, first:, first:]
    turned = sum(np.rot90(whole, turns, axes=(1, 2)) for turns in (1, 2, 3)) / 3
    from_middle = np.arange(first, side) - side // 2
    is_middle = np.hypot(from_middle[:, None], from_middle) < MIDDLE_PX
    relative = np.zeros_like(detail)
    relative[:, first:, first:] = np.where(is_middle[:, :, None], whole, whole - turned)
    return relative


def _smoothed(images, shown, sigma_px: float) -> np.ndarray:
    """Images f32 [N, S, S, K] after a Gaussian over what is shown, f32 [N, S, S, 1] of 0 and 1, alone."""
    def smooth(values):
        return ndimage.gaussian_filter(values, (0, sigma_px, sigma_px, 0), mode="constant")

    return smooth(images * shown) / np.maximum(smooth(shown), TINY)


def telling_places(crops: crop_arrays.Crops, class_indices, channels, mask: str) -> list[tuple[int, int, int]]:
    """Where `details` differ most between each of some classes and the rest: row, column and position in `channels`.

    In standard deviations, the mean of both sides' variances.

    Args:
        crops: N labelled cells, pixels on disk.
        class_indices: of the classes.
        channels, mask: as of `details`.
    """
    is_class = np.array([crops.label == class_index for class_index in class_indices])
    sides = np.stack([is_class, ~is_class]).astype(np.float64)
    sums = 0.0
    squares = 0.0
    start = 0
    for block in camera_pixels.blocks(crops):
        of_block = details(block, channels, mask).astype(np.float64)
        of_side = sides[:, :, start : start + len(block)]
        start += len(block)
        sums = sums + np.tensordot(of_side, of_block, 1)
        squares = squares + np.tensordot(of_side, of_block**2, 1)
    number = np.maximum(sides.sum(2), 1)[:, :, None, None, None]
    means = sums / number
    variances = np.maximum(squares / number - means**2, 0)
    spread = np.sqrt(variances.mean(0))
    difference = np.abs(means[0] - means[1])
    distance = np.divide(difference, spread, out=np.zeros_like(spread), where=spread > 0)
    places = []
    for of_class in distance:
        place = np.unravel_index(of_class.argmax(), of_class.shape)
        places.append(tuple(int(index) for index in place))
    return places


def details_at(crops: crop_arrays.Crops, places, channels, mask: str) -> np.ndarray:
    """The `details` of each cell at D places (row, column, position in `channels`), f64 [N, D]."""
    rows, columns, positions = np.array(places).T
    found = [details(block, channels, mask)[:, rows, columns, positions] for block in camera_pixels.blocks(crops)]
    return np.concatenate(found).astype(np.float64)


def judge(results: dict, about: dict) -> Judgement:
    """Passed where no place tells the classes as a mark does.

    Not passed where one may, and does for certain; else as `nuisances.judge_told`.
    """
    if results["why"]:
        return middle_channel.not_asked(WORDS, results)
    score = results["class_auroc"]
    allowed = by_itself.most_allowed(results["network_auroc"], MOST)
    if by_itself.is_below(score, allowed):
        return Judgement(
            Answer.PASSED,
            "No detail lies at the same place of the pictures and tells the class by itself: the best predicts it with "
            f"an area under the ROC curve of {score.text()} (allowed: below {allowed:.2f}).",
        )
    if by_itself.tells_the_class(score, about):
        return Judgement(
            Answer.UNKNOWN,
            f"{WORDS[0].upper()}{WORDS[1:]} ({_places_in_words(results)}) predicts the class with an area under the "
            f"ROC curve of {score.text()}. Whether it is a mark that was drawn into them or a structure that lies "
            "there in every cell, and whether the network reads it, no data of this kind can tell.",
            remedy="Look at these pictures there; fields as they came from the microscope, or crops whose centre is "
            "moved, would tell.",
        )
    return nuisances.judge_told(WORDS, False, results, about)


def _places_in_words(results: dict) -> str:
    size = results["crop_px"]
    words = []
    for place in results["places"]:
        words.append(
            f"channel {place['channel']}, px {place['down_px']} down and {place['across_px']} across of {size}"
        )
    return "; ".join(words)


QUESTION = Question("drawn_mark", ask)
CHECK = Check("reads no mark at one place of the pictures", QUESTION, judge, needed=True)
