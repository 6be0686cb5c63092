import numpy as np
import pytest
from scipy import ndimage

from cellcycle_jax.explain.edits.edits import EDITS, Cell, dna_brightness, nuclear_area, stain_area, stain_spread
from cellcycle_jax.schema import Compartment as C
from tests.drawn import CYTOPLASM, EVERY, NUCLEUS, PIECES, STAIN, cell


def area_above(channel, level):
    """Area in px^2 where a channel is above a level, between the pixels too."""
    return (ndimage.zoom(channel.astype(np.float64), 8, order=1, grid_mode=True, mode="nearest") > level).sum() / 64


def reached(name, c, image, compartments):
    """The dose by the edit's own measurement."""
    return EDITS[name].measure(c, image, compartments) / EDITS[name].measure(c, c.image, c.compartments) - 1


def pieces_of(channel):
    """Centre and area of each object of the drawn stain, sorted by row."""
    part, n = ndimage.label(channel > CYTOPLASM + STAIN / 20)  # with its soft edge, or its centre would jump
    excess = np.where(part > 0, channel - CYTOPLASM, 0).astype(np.float64)
    centres = np.array([ndimage.center_of_mass(excess, part, i) for i in range(1, n + 1)])
    alone = (np.where((part == i) | (part == 0), channel, 0) for i in range(1, n + 1))
    return centres, np.array([area_above(one, CYTOPLASM + STAIN / 2) for one in alone])


@pytest.mark.parametrize("name", EDITS)
def test_no_dose_leaves_the_picture_as_it_is(name):
    c = cell(noise=0.05)
    image, compartments = EDITS[name].apply(c, 0.0)
    np.testing.assert_array_equal(image, c.image)
    np.testing.assert_array_equal(compartments, c.compartments)


@pytest.mark.parametrize("name", EDITS)
def test_small_doses_change_little(name):
    c = cell()
    assert abs(EDITS[name].apply(c, 1e-4)[0] - c.image).max() < 5e-3


@pytest.mark.parametrize("name", EDITS)
def test_inputs_are_not_written_to(name):
    c = cell()
    before = c.image.copy(), c.compartments.copy()
    EDITS[name].apply(c, 0.2)
    np.testing.assert_array_equal(c.image, before[0])
    np.testing.assert_array_equal(c.compartments, before[1])


@pytest.mark.parametrize("size, tolerance", [(64, 0.015), (32, 0.03)])
@pytest.mark.parametrize("dose", [-0.2, -0.1, 0.1, 0.2])
def test_area_of_a_drawn_nucleus_changes_by_the_dose_and_its_summed_light_does_not(dose, size, tolerance):
    c = cell(size)
    image, compartments = nuclear_area(c, dose)
    near = c.compartments & int(C.OTHER_NUCLEI) == 0
    before, after = (np.where(near, i[..., 0], 0) for i in (c.image, image))
    dimmer = NUCLEUS / (1 + dose)  # the same light on another area
    assert area_above(after, dimmer / 2) / area_above(before, NUCLEUS / 2) - 1 == pytest.approx(dose, abs=tolerance)
    assert reached("nuclear_area", c, image, compartments) == pytest.approx(dose, abs=tolerance)
    assert after.sum(dtype=float) == pytest.approx(before.sum(dtype=float), rel=1e-5)
    np.testing.assert_allclose(ndimage.center_of_mass(after), ndimage.center_of_mass(before), atol=0.05)


def test_growing_a_nucleus_leaves_neighbours_and_what_is_far_untouched():
    c = cell(noise=0.05)
    image, compartments = nuclear_area(c, 0.2)
    far = np.hypot(*(np.mgrid[:64, :64] - np.reshape([30, 26], (2, 1, 1)))) > 12 * np.sqrt(1.2) + 12 * 0.35 + 2
    for still in (far & ~c.mask(C.ORGANELLE), c.mask(C.OTHER_NUCLEI), ~c.mask(C.BODY)):
        for k in (0, 2):
            np.testing.assert_array_equal(image[still, k], c.image[still, k])
        np.testing.assert_array_equal(compartments[still], c.compartments[still])


def test_the_hole_in_other_channels_grows_with_the_nucleus_unless_one_channel_is_asked_for():
    c = cell(places=())
    hole = [area_above(CYTOPLASM - np.where(c.mask(C.BODY), i[..., 2], CYTOPLASM), CYTOPLASM / 2)
            for i in (c.image, nuclear_area(c, 0.2)[0], nuclear_area(c, 0.2, channels=(0,))[0])]
    assert hole[1] / hole[0] - 1 == pytest.approx(0.2, abs=0.02)
    assert hole[2] == hole[0]


def test_pieces_beside_a_growing_nucleus_are_pushed_aside_and_keep_size_and_brightness():
    c = cell(places=((30.0, 41.0, 2.5), (14.0, 44.0, 3.0)))  # the first lies beside the nucleus
    image, _ = nuclear_area(c, 0.2)
    (centres, areas), (moved, grown) = pieces_of(c.image[..., 1]), pieces_of(image[..., 1])
    np.testing.assert_allclose(grown, areas, rtol=0.03)
    way = moved - centres
    assert way[1, 1] > 0.4 and abs(way[1, 0]) < 0.1  # away from the nucleus, which lies to the left
    assert image[..., 1].max() == pytest.approx(c.image[..., 1].max(), rel=0.03)


def test_a_nucleus_cannot_grow_into_one_that_touches_it():
    c = cell(places=())
    wall = np.arange(64)[None, :] > 37 + 0 * np.arange(64)[:, None]
    bits = np.where(wall, int(C.OTHER_NUCLEI), c.compartments & ~np.uint8(C.OTHER_NUCLEI)).astype(np.uint8)
    touched = Cell(c.image, bits, EVERY, 0, 1)
    image, compartments = nuclear_area(touched, 0.2)
    np.testing.assert_array_equal(image[wall], touched.image[wall])
    assert 0.1 < reached("nuclear_area", touched, image, compartments) < 0.18
    np.testing.assert_array_equal(dna_brightness(touched, 0.2)[0][wall], touched.image[wall])


@pytest.mark.parametrize("dose", [-0.2, 0.1])
def test_brightness_changes_by_the_dose_in_the_nucleus_of_one_channel(dose):
    c = cell(noise=0.05)
    image, compartments = dna_brightness(c, dose)
    nucleus = c.mask(C.NUCLEUS)
    np.testing.assert_allclose(image[nucleus, 0], c.image[nucleus, 0] * (1 + dose), rtol=1e-5)
    next_to_it = ndimage.binary_dilation(nucleus) & ~nucleus
    np.testing.assert_allclose(image[next_to_it, 0], c.image[next_to_it, 0] * (1 + dose / 2), rtol=1e-5)
    far = ~ndimage.binary_dilation(nucleus, np.ones((3, 3)))
    np.testing.assert_array_equal(image[far], c.image[far])
    np.testing.assert_array_equal(image[..., 1:], c.image[..., 1:])
    np.testing.assert_array_equal(compartments, c.compartments)


@pytest.mark.parametrize("dose", [-0.2, -0.1, 0.1, 0.2])
def test_area_of_drawn_pieces_changes_by_the_dose_and_their_places_do_not(dose):
    c = cell()
    image, compartments = stain_area(c, dose)
    (centres, areas), (same, changed) = pieces_of(c.image[..., 1]), pieces_of(image[..., 1])
    assert changed.sum() / areas.sum() - 1 == pytest.approx(dose, abs=0.01)
    np.testing.assert_allclose(changed / areas - 1, dose, atol=0.025)
    np.testing.assert_allclose(same, centres, atol=0.05)
    assert reached("stain_area", c, image, compartments) == pytest.approx(dose, abs=0.02)
    inside = ndimage.binary_erosion(c.mask(C.ORGANELLE))
    assert image[inside, 1].mean() == pytest.approx(c.image[inside, 1].mean(), rel=0.05)  # a object keeps its level
    for k in (0, 2):
        np.testing.assert_array_equal(image[..., k], c.image[..., k])


@pytest.mark.parametrize("dose", [-0.2, -0.1, 0.1])
def test_places_of_drawn_pieces_spread_by_the_dose_and_their_areas_and_brightness_do_not(dose):
    c = cell()
    image, compartments = stain_spread(c, dose)
    (centres, areas), (moved, same) = pieces_of(c.image[..., 1]), pieces_of(image[..., 1])
    np.testing.assert_allclose(moved[:, None] - moved, (centres[:, None] - centres) * (1 + dose), atol=0.1)
    np.testing.assert_allclose(same, areas, rtol=0.03)
    change, light = (image - c.image)[..., 1].astype(float), STAIN * areas.sum()
    np.testing.assert_allclose([(change * axis).sum() / light for axis in np.mgrid[:64, :64]], 0, atol=0.05)  # middle
    assert image[..., 1].sum(dtype=float) == pytest.approx(c.image[..., 1].sum(dtype=float), rel=0.005)
    assert image[..., 1].max() == pytest.approx(c.image[..., 1].max(), rel=0.03)
    assert reached("stain_spread", c, image, compartments) == pytest.approx(dose, abs=0.01)
    for k in (0, 2):
        np.testing.assert_array_equal(image[..., k], c.image[..., k])


@pytest.mark.parametrize("dose", [-0.2, 0.1])
def test_small_crops_reach_the_dose_too(dose):
    c = cell(32)  # objects of 1 to 2 px radius
    areas = [area_above(image[..., 1], CYTOPLASM + STAIN / 2)
             for image in (c.image, stain_area(c, dose)[0], stain_spread(c, dose)[0])]
    assert areas[1] / areas[0] - 1 == pytest.approx(dose, abs=0.03)
    assert areas[2] == pytest.approx(areas[0], rel=0.03)
    for name in ("stain_area", "stain_spread"):
        assert reached(name, c, *EDITS[name].apply(c, dose)) == pytest.approx(dose, abs=0.03)


def test_pieces_that_the_model_is_not_shown_are_not_edited():
    c = cell()
    hidden = Cell(np.where(c.mask(C.NUCLEUS)[..., None], c.image, 0), c.compartments, EVERY, 0, 1)
    assert "fewer than 1" in EDITS["stain_area"].lacking(hidden)


def test_a_larger_nucleus_keeps_most_of_its_grain():
    c = cell(noise=0.05)
    inside = ndimage.binary_erosion(c.mask(C.NUCLEUS), iterations=4)
    before, after = (i[inside, 0].std() / i[inside, 0].mean() for i in (c.image, nuclear_area(c, 0.1)[0]))
    assert 0.8 < after / before < 1.1  # reading between pixels linearly would leave two thirds


def test_where_a_piece_was_there_is_cytoplasm():
    c = cell(places=((14.0, 40.0, 2.0), (44.0, 46.0, 2.0)))
    image, _ = stain_spread(c, -0.4)
    np.testing.assert_allclose(image[13:16, 39:42, 1], CYTOPLASM, rtol=0.03)


def test_pieces_stay_in_the_body():
    c = cell(places=((14.0, 40.0, 2.0), (31.0, 57.0, 2.0)))  # the second is 2 px inside the edge
    image, compartments = stain_spread(c, 0.3)
    outside = ~c.body
    np.testing.assert_array_equal(image[outside], c.image[outside])
    assert not (compartments[outside] & int(C.ORGANELLE) & ~c.compartments[outside]).any()
    np.testing.assert_allclose(pieces_of(image[..., 1])[1], pieces_of(c.image[..., 1])[1], rtol=0.05)
    assert 0.05 < reached("stain_spread", c, image, compartments) < 0.28


def test_pieces_that_all_are_held_by_the_edge_are_not_edited():
    c = cell(places=((31.0, 57.0, 2.0), (31.0, 6.0, 2.0)))
    body = ndimage.binary_dilation(c.mask(C.NUCLEUS) | c.mask(C.ORGANELLE))
    held = Cell(c.image, np.where(body, c.compartments, 0).astype(np.uint8), EVERY, 0, 1)
    assert stain_spread(held, 0.3) is None


def test_the_mask_of_the_stain_follows_its_objects():
    c = cell()
    for edited, dose in ((stain_area, 0.2), (stain_spread, -0.2)):
        image, compartments = edited(c, dose)
        bright = image[..., 1] > CYTOPLASM + STAIN / 2
        assert ((compartments & int(C.ORGANELLE) > 0) != bright).sum() <= 6  # of about 100


def test_pieces_above_the_nucleus_are_left_alone():
    c = cell(places=(*PIECES, (30.0, 26.0, 2.0)))
    nucleus = ndimage.binary_erosion(c.mask(C.NUCLEUS), iterations=3)
    for name in ("stain_area", "stain_spread"):
        image, compartments = EDITS[name].apply(c, 0.2)
        np.testing.assert_array_equal(image[nucleus], c.image[nucleus])
        np.testing.assert_array_equal(compartments[nucleus], c.compartments[nucleus])


def test_what_a_cell_lacks_is_named():
    blind = Cell(cell().image[..., 1:], cell().compartments, EVERY, None, 0)
    assert "does not see the nuclear" in EDITS["dna_brightness"].lacking(blind)
    assert EDITS["nuclear_area"].lacking(blind) == ""  # it is a hole in the other channels
    assert "organelle" in EDITS["stain_area"].lacking(Cell(cell().image, cell().compartments, EVERY, 0, None))
    assert "not known" in EDITS["stain_area"].lacking(cell(present=int(C.NUCLEUS | C.BODY)))
    assert "not known" in EDITS["nuclear_area"].lacking(cell(present=int(C.BODY)))
    assert EDITS["stain_area"].lacking(cell(places=PIECES[:1])) == ""
    assert "fewer than 2" in EDITS["stain_spread"].lacking(cell(places=PIECES[:1]))
    assert "fewer than 1" in EDITS["stain_area"].lacking(cell(places=()))
    hidden = np.where(cell().mask(C.NUCLEUS)[..., None], 0, cell().image)
    assert "not bright" in EDITS["dna_brightness"].lacking(Cell(hidden, cell().compartments, EVERY, 0, 1))
