"""Paints the cells of one field: every stain into the canvas, every compartment into a label image."""

import numpy as np
from scipy import ndimage

from data_prep.simulation import layout, stains
from data_prep.simulation.population import CHANNELS

REACH_UM = 9.0  # how far beyond the nucleus a Golgi is drawn
COMET_BRIGHTNESS_UM2 = 0.15  # brightness times area of a point of a comet
MITOTIC_RADIUS_UM = 8.5  # a dividing cell is round
CYTOPLASM = (0.012, 0.07, 0.20, 0.02)  # brightness of the diffuse stain beside the nucleus, per channel
POLE_POINTS = 12  # points of light that make up the bright spot of each centrosome


class Painter:
    """Paints all cells of one field onto a canvas that is wider than the field by a frame.

    Attributes:
        canvas: f32 [H, W, 4], brightness of `CHANNELS`.
        bodies, golgi: i32 [H, W], k + 1 where cell k is; 0 is background.
        realised: {cue: f64 [n]}, the cues that the pixels show.
    """

    def __init__(self, rng, line, cells, placement, pixel_um):
        self.rng = rng
        self.line = line
        self.cells = cells
        self.nuclei = placement.nuclei
        self.centres = placement.centres
        self.labels = placement.labels
        self.pixel_um = pixel_um
        self.mitotic = cells["phase"].to_numpy() == "M"
        self.canvas = np.zeros((*self.labels.shape, len(CHANNELS)), np.float32)
        self.golgi = np.zeros_like(self.labels)
        self.realised = {
            "nuclear_area_um2": np.zeros(len(cells)),
            "golgi_area_um2": np.zeros(len(cells)),
            "plus_end_density_per_um2": np.zeros(len(cells)),
        }
        reach_px = line.body_um / pixel_um
        self.bodies, self.distance = layout.cell_bodies(rng, placement, reach_px, line.body_stretch)
        dividing = np.flatnonzero(self.mitotic) + 1
        layout.round_bodies(self.bodies, placement, dividing, MITOTIC_RADIUS_UM / pixel_um)

    def paint(self):
        """Fill canvas, Golgi labels and the realised cues."""
        fine = layout.smooth_noise(self.rng, self.labels.shape, 0.45 / self.pixel_um)
        coarse = layout.smooth_noise(self.rng, self.labels.shape, 1.1 / self.pixel_um)
        texture = (0.7 * fine + 0.7 * coarse).astype(np.float32)
        golgi_angles = [self._golgi_angle(k) for k in range(len(self.nuclei))]
        for k, golgi_angle in enumerate(golgi_angles):
            self._paint_nucleus(k, texture, fine)
            self._paint_golgi(k, golgi_angle)
        self._paint_cytoplasm(coarse)
        self._paint_comets(golgi_angles)

    def _paint_nucleus(self, k, texture, grains):
        """The DNA and the marker of cell k."""
        nucleus = self.nuclei[k]
        cell = self.cells.iloc[k]
        patch = layout.window(self.centres[k], nucleus.half_px)
        dna = stains.chromatin(self.rng, nucleus, texture[patch], self.line, self.mitotic[k], self.pixel_um)
        newborn_px = self.line.nuclear_area_um2 / self.pixel_um**2
        dna_strength = cell["dna_stain"] * stains.DNA_BRIGHTNESS * newborn_px
        self.canvas[..., 0][patch] += np.float32(dna_strength) * dna
        thickness = (1.05 - np.minimum(nucleus.rho, 1) ** 2) ** 0.2
        marker = np.where(nucleus.mask, thickness * np.exp(0.18 * grains[patch]), 0)
        marker *= nucleus.mask.sum() / marker.sum()
        marker_strength = cell["marker"] * cell["stain_CENPF"] * stains.MARKER_BRIGHTNESS
        self.canvas[..., 3][patch] += np.float32(marker_strength) * marker
        self.realised["nuclear_area_um2"][k] = nucleus.mask.sum() * self.pixel_um**2

    def _golgi_angle(self, k):
        """A direction in which the cell has room for its Golgi; the first of several where none has."""
        angles = self.rng.uniform(-np.pi, np.pi, 10)
        away = self.nuclei[k].radius_at(angles) + 3.5 / self.pixel_um
        y = np.rint(self.centres[k, 0] + away * np.sin(angles)).astype(int)
        x = np.rint(self.centres[k, 1] + away * np.cos(angles)).astype(int)
        has_room = self.bodies[y, x] == k + 1
        return angles[np.argmax(has_room)]

    def _paint_golgi(self, k, angle):
        nucleus = self.nuclei[k]
        cell = self.cells.iloc[k]
        reach_px = int(REACH_UM / self.pixel_um)
        patch = layout.window(self.centres[k], nucleus.half_px + reach_px)
        labels = self.labels[patch]
        own_nucleus = labels == k + 1
        own_body = (self.bodies[patch] == k + 1) & ((labels == 0) | own_nucleus)
        allowed = own_body.astype(np.float32)
        allowed[own_nucleus] = 0.35  # a Golgi mostly lies beside the nucleus, partly above it
        look = stains.GolgiLook(
            area_um2=cell["golgi_area_um2"],
            scatter_um=cell["golgi_scatter_um"],
            ribbon=self.line.golgi_ribbon,
            angle=None if self.mitotic[k] else angle,
        )
        brightness, mask = stains.golgi(self.rng, nucleus, allowed, look, self.pixel_um)
        self.canvas[..., 1][patch] += np.float32(0.8 * cell["stain_Golgi"]) * brightness
        self.golgi[patch][mask] = k + 1
        self.realised["golgi_area_um2"][k] = mask.sum() * self.pixel_um**2

    def _paint_cytoplasm(self, clouds):
        """Diffuse stain of the bodies: thick next to the nucleus, thin at the edge, nearly none in the nucleus."""
        columns = [f"stain_{channel}" for channel in CHANNELS]
        strength = np.zeros((len(self.cells) + 1, len(CHANNELS)), np.float32)
        strength[1:] = self.cells[columns].to_numpy() * CYTOPLASM
        strength[1:][self.mitotic] *= 2.5  # a rounded cell is thick
        thickness = np.exp(-self.distance * self.pixel_um / 9) * np.exp(0.12 * clouds)
        thickness[self.labels > 0] *= 0.35
        for c in range(len(CHANNELS)):
            stain = strength[:, c][self.bodies] * thickness
            if c in (1, 2):  # in these two it is bright enough for its edges to be seen
                stain = ndimage.gaussian_filter(stain, 0.7 / self.pixel_um, truncate=3)
            self.canvas[..., c] += stain

    def _paint_comets(self, golgi_angles):
        """EB1 comets of all cells, in one go."""
        cytoplasm = np.where(self.labels > 0, 0, self.bodies).ravel()
        order = np.argsort(cytoplasm.astype(np.uint16), kind="stable")  # 16 bits are sorted fastest
        ends = np.cumsum(np.bincount(cytoplasm, minlength=len(self.cells) + 1))
        own_pixels = np.split(order, ends[:-1])[1:]
        points = []
        for k, pixels in enumerate(own_pixels):
            area_um2 = len(pixels) * self.pixel_um**2
            n = int(round(self.cells["plus_end_density_per_um2"].iloc[k] * area_um2))
            self.realised["plus_end_density_per_um2"][k] = n / max(area_um2, 1e-9)
            if n > 0:
                points += self._comet_points(k, pixels, n, golgi_angles[k])
        if points:
            y, x, brightness = np.concatenate(points, axis=1)
            spots = stains.splat(self.labels.shape, y, x, brightness)
            # Brightness per comet, not per pixel: a finer camera sees the same comet.
            spots *= COMET_BRIGHTNESS_UM2 / self.pixel_um**2
            self.canvas[..., 2] += ndimage.gaussian_filter(spots, 0.2 / self.pixel_um, truncate=3)

    def _comet_points(self, k, pixels, n, golgi_angle):
        """Points of light (y, x, brightness) of the n comets of cell k, and of its centrosomes, two f64 [3, N]."""
        strength = self.cells["stain_EB1"].iloc[k]
        y, x = np.divmod(pixels, self.labels.shape[1])
        poles = self._poles(k, golgi_angle)
        comets = stains.comets(self.rng, y, x, n, poles, self.pixel_um)
        comets[2] *= strength
        spread = self.rng.normal(0, 0.45 / self.pixel_um, (POLE_POINTS * len(poles), 2))
        y, x = (np.repeat(poles, POLE_POINTS, 0) + spread).T
        centrosomes = np.stack([y, x, np.full(len(y), 0.5 * strength)])
        return [comets, centrosomes]

    def _poles(self, k, golgi_angle):
        """Where microtubules start, f64 [1 or 2, 2]: the centrosome by the Golgi, or both poles of a spindle."""
        nucleus = self.nuclei[k]
        centre = self.centres[k].astype(float)
        if not self.mitotic[k]:
            away = nucleus.radius_at(golgi_angle) + 1.2 / self.pixel_um
            return centre[None] + away * np.array([[np.sin(golgi_angle), np.cos(golgi_angle)]])
        across = nucleus.axis + np.pi / 2
        offset = 4.0 / self.pixel_um * np.array([np.sin(across), np.cos(across)])
        return np.stack([centre + offset, centre - offset])
