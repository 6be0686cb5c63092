"""Paints the cells of one field: every stain into the canvas, every compartment into a label image."""

import numpy as np
from scipy import ndimage

from data_prep.simulation import layout, stains
from data_prep.simulation.population import CHANNELS

REACH_UM = 9.0  # how far beyond the nucleus a Golgi is drawn
COMET_BRIGHTNESS_UM2 = 0.15  # brightness times area of a point of a comet
MITOTIC_RADIUS_UM = 8.5  # a dividing cell is round
CYTOPLASM = (0.012, 0.07, 0.20, 0.02)  # brightness of the diffuse stain beside the nucleus, per channel


class Painter:
    """Paints all cells of one field onto a canvas that is wider than the field by a frame."""

    def __init__(self, rng, line, cells, nuclei, centres, labels, pixel_um):
        self.rng, self.line, self.cells, self.nuclei, self.centres = rng, line, cells, nuclei, centres
        self.labels, self.pixel_um = labels, pixel_um
        self.mitotic = cells["phase"].to_numpy() == "M"
        self.canvas = np.zeros((*labels.shape, len(CHANNELS)), np.float32)
        self.golgi = np.zeros_like(labels)
        self.realised = {
            name: np.zeros(len(cells)) for name in ("nuclear_area_um2", "golgi_area_um2", "plus_end_density_per_um2")
        }
        axes = np.array([nucleus.axis for nucleus in nuclei])
        self.bodies, self.distance = layout.cell_bodies(
            rng, labels, centres, axes, line.body_um / pixel_um, line.body_stretch
        )
        dividing = np.flatnonzero(self.mitotic) + 1
        layout.round_bodies(self.bodies, labels, centres, dividing, MITOTIC_RADIUS_UM / pixel_um)

    def paint(self):
        """Fill canvas, Golgi labels and the realised cues."""
        fine = layout.smooth_noise(self.rng, self.labels.shape, 0.45 / self.pixel_um)
        coarse = layout.smooth_noise(self.rng, self.labels.shape, 1.1 / self.pixel_um)
        texture = (0.7 * fine + 0.7 * coarse).astype(np.float32)
        angles = np.array([self._golgi_angle(k) for k in range(len(self.nuclei))])
        for k in range(len(self.nuclei)):
            self._paint_nucleus(k, texture, fine)
            self._paint_golgi(k, angles[k])
        self._paint_cytoplasm(coarse)
        self._paint_comets(angles)

    def _paint_nucleus(self, k, texture, grains):
        nucleus, row = self.nuclei[k], self.cells.iloc[k]
        at = layout.window(self.centres[k], nucleus.half_px)
        share = stains.chromatin(self.rng, nucleus, texture[at], self.line, self.mitotic[k], self.pixel_um)
        newborn_px = self.line.nuclear_area_um2 / self.pixel_um**2
        self.canvas[..., 0][at] += np.float32(row["dna_stain"] * stains.DNA_BRIGHTNESS * newborn_px) * share
        profile = np.where(nucleus.mask, (1.05 - np.minimum(nucleus.rho, 1) ** 2) ** 0.2 * np.exp(0.18 * grains[at]), 0)
        profile *= nucleus.mask.sum() / profile.sum()
        self.canvas[..., 3][at] += np.float32(row["marker"] * row["stain_CENPF"] * stains.MARKER_BRIGHTNESS) * profile
        self.realised["nuclear_area_um2"][k] = nucleus.mask.sum() * self.pixel_um**2

    def _golgi_angle(self, k):
        """A direction in which the cell has room for its Golgi; the first of several where none has."""
        nucleus, angles = self.nuclei[k], self.rng.uniform(-np.pi, np.pi, 10)
        away = nucleus.radius_at(angles) + 3.5 / self.pixel_um
        y = np.rint(self.centres[k, 0] + away * np.sin(angles)).astype(int)
        x = np.rint(self.centres[k, 1] + away * np.cos(angles)).astype(int)
        room = self.bodies[y, x] == k + 1
        return angles[np.argmax(room)]

    def _paint_golgi(self, k, angle):
        nucleus, row, rng = self.nuclei[k], self.cells.iloc[k], self.rng
        extra = int(REACH_UM / self.pixel_um)
        at = layout.window(self.centres[k], nucleus.half_px + extra)
        own = self.labels[at] == k + 1
        allowed = ((self.bodies[at] == k + 1) & ((self.labels[at] == 0) | own)).astype(np.float32)
        allowed[own] = 0.35  # a Golgi mostly lies beside the nucleus, partly above it
        shine, mask = stains.golgi(
            rng, nucleus, allowed, row["golgi_area_um2"], row["golgi_scatter_um"], self.line.golgi_ribbon,
            None if self.mitotic[k] else angle, self.pixel_um,
        )
        self.canvas[..., 1][at] += np.float32(0.8 * row["stain_Golgi"]) * shine
        self.golgi[at][mask] = k + 1
        self.realised["golgi_area_um2"][k] = mask.sum() * self.pixel_um**2

    def _paint_cytoplasm(self, clouds):
        """Diffuse stain of the bodies: thick next to the nucleus, thin at the edge, nearly none in the nucleus."""
        strength = np.zeros((len(self.cells) + 1, len(CHANNELS)), np.float32)
        strength[1:] = self.cells[[f"stain_{c}" for c in CHANNELS]].to_numpy() * CYTOPLASM
        strength[1:][self.mitotic] *= 2.5  # a rounded cell is thick
        thick = np.exp(-self.distance * self.pixel_um / 9) * np.exp(0.12 * clouds)
        thick[self.labels > 0] *= 0.35
        for c in range(len(CHANNELS)):
            light = strength[:, c][self.bodies] * thick
            if c in (1, 2):  # in these two it is bright enough for its edges to be seen
                light = ndimage.gaussian_filter(light, 0.7 / self.pixel_um, truncate=3)
            self.canvas[..., c] += light

    def _paint_comets(self, angles):
        """EB1 comets of all cells, in one go."""
        cytoplasm = np.where(self.labels > 0, 0, self.bodies).ravel()
        order = np.argsort(cytoplasm.astype(np.uint16), kind="stable")
        ends = np.cumsum(np.bincount(cytoplasm, minlength=len(self.cells) + 1))
        parts = []
        for k in range(len(self.cells)):
            own = order[ends[k] : ends[k + 1]]
            area_um2 = len(own) * self.pixel_um**2
            n = int(round(self.cells["plus_end_density_per_um2"].iloc[k] * area_um2))
            self.realised["plus_end_density_per_um2"][k] = n / max(area_um2, 1e-9)
            if not n:
                continue
            y, x = np.divmod(own, self.labels.shape[1])
            poles = self._poles(k, angles[k])
            comet_y, comet_x, bright = stains.comets(self.rng, y, x, n, poles, self.pixel_um)
            parts.append((comet_y, comet_x, bright * self.cells["stain_EB1"].iloc[k]))
            haloes = np.repeat(poles, 12, 0) + self.rng.normal(0, 0.45 / self.pixel_um, (12 * len(poles), 2))
            parts.append((haloes[:, 0], haloes[:, 1], np.full(len(haloes), 0.5 * self.cells["stain_EB1"].iloc[k])))
        if parts:
            y, x, bright = (np.concatenate(part) for part in zip(*parts, strict=True))
            points = stains.splat(self.labels.shape, y, x, bright)
            # Brightness per comet, not per pixel: a finer camera sees the same comet.
            points *= COMET_BRIGHTNESS_UM2 / self.pixel_um**2
            self.canvas[..., 2] += ndimage.gaussian_filter(points, 0.2 / self.pixel_um, truncate=3)

    def _poles(self, k, angle):
        """Where microtubules start, f64 [1 or 2, 2]: the centrosome by the Golgi, or both poles of a spindle."""
        nucleus, centre = self.nuclei[k], self.centres[k].astype(float)
        if not self.mitotic[k]:
            away = nucleus.radius_at(angle) + 1.2 / self.pixel_um
            return centre[None] + away * np.array([[np.sin(angle), np.cos(angle)]])
        across = nucleus.axis + np.pi / 2
        offset = 4.0 / self.pixel_um * np.array([np.sin(across), np.cos(across)])
        return np.stack([centre + offset, centre - offset])
