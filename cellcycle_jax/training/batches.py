"""The cells that training reads: where they lie, and the batches of the next steps."""

import dataclasses

import jax
import numpy as np

from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.devices import mesh
from cellcycle_jax.training import train_step

MOST_STEPS = 64  # in one dispatch
SENT_BYTES = 64 * 2**20  # of streamed batches in one dispatch
THREADS = 4  # that make batches
AHEAD = 16  # batches made before they are wanted


@dataclasses.dataclass(frozen=True)
class Order:
    """Which cells one model is trained on, and the seed of their order."""

    seed: int
    rows: np.ndarray  # i32 [n], of all cells of the feed

    def batches(self, step: int, count: int, batch: int) -> np.ndarray:
        """Rows i32 [count, batch] of the batches of `count` steps from `step` on."""
        positions = train_step.batch_indices(self.seed, step, len(self.rows), batch, count)
        return self.rows[positions].astype(np.int32)


class DeviceBatches:
    """All cells on the devices; batches are lists of rows."""

    def __init__(self, crops, orders, batch: int, layout):
        """Send the cells.

        Args:
            crops: `crop_arrays.Crops` of all cells that any model is trained on.
            orders: an `Order` for each of R models.
            batch: cells in a batch, over all devices.
            layout: `model_sharding.Layout` of the models.
        """
        self._orders = orders
        self._batch = batch
        self._size = layout.batch_size(batch)
        self.most = MOST_STEPS
        self._arrays = mesh.put_everywhere(crop_arrays.arrays_of(crops), layout.mesh)

    def take(self, step: int, count: int):
        """What the program is given for `count` steps from `step` on: index i32 [R, MOST_STEPS, B] and arrays."""
        index = np.zeros((len(self._orders), self.most, self._size), np.int32)
        for row, order in zip(index, self._orders, strict=True):
            row[:count] = mesh.pad_to(order.batches(step, count, self._batch), self._size)
        return index, self._arrays

    def close(self):
        """Nothing runs in the background."""


class StreamedBatches:
    """Cells in host memory or on disk; each process makes its own part of the batches, some time before their steps."""

    def __init__(self, crops, order: Order, batch: int, layout, first: int, total: int):
        """Begin to make batches.

        Args:
            crops: `crop_arrays.Crops`, their pixels in memory or on disk.
            order: of the one model.
            batch: cells in a batch, over all devices.
            layout: `model_sharding.Layout` of the model.
            first: number of the first step that will be asked for.
            total: steps of the run.
        """
        import grain

        self._size = layout.batch_size(batch)
        own = _own_part(self._size, layout.per_cell())
        cell_bytes = crops.image.nbytes // len(crops) + crops.compartments.nbytes // len(crops)
        self.most = int(np.clip(SENT_BYTES // (cell_bytes * self._size), 1, MOST_STEPS))
        self._sharding = layout.per_cell(1)
        self._index = np.zeros((1, self.most, self._size), np.int32)  # the batches come whole

        def load(step):
            rows = mesh.pad_to(order.batches(int(step), 1, batch), self._size)[0]
            return crop_arrays.arrays_of(crop_arrays.take(crops, rows[own]))

        options = grain.ReadOptions(num_threads=THREADS, prefetch_buffer_size=AHEAD)
        self._batches = iter(grain.MapDataset.range(first, total).map(load).to_iter_dataset(options))

    def take(self, step: int, count: int):
        """As `DeviceBatches.take`, with arrays [MOST, B, ...]; steps are asked for in order, none twice."""
        steps = [next(self._batches) for _ in range(count)]
        steps += steps[:1] * (self.most - count)  # filled up, so that every dispatch has the same shapes
        arrays = jax.tree.map(lambda *batches: np.stack(batches), *steps)
        return self._index, jax.make_array_from_process_local_data(self._sharding, arrays)

    def close(self):
        """Stop what runs in the background."""
        self._batches.close()


def _own_part(size, sharding) -> np.ndarray:
    """Which entries of a batch of `size` lie on devices of this process, bool [size]."""
    own = np.zeros(size, bool)
    for (part,) in sharding.addressable_devices_indices_map((size,)).values():
        own[part] = True
    return own


class EvaluationCells:
    """Cells whose logits are wanted again and again: on the devices, or sent batch by batch."""

    def __init__(self, crops, batch: int, layout, resident: bool):
        """Send the cells if `resident`; `batch` is rounded up as `layout.batch_size` does."""
        self._crops = crops
        self._size = layout.batch_size(batch)
        self._layout = layout
        self._arrays = mesh.put_everywhere(crop_arrays.arrays_of(crops), layout.mesh) if resident else None

    def logits(self, predict, variables, channel_mask) -> np.ndarray:
        """Logits f32 [R, N, P] by `predict` of `compiled_steps.make_predict_program`; the last batch is filled up."""
        n = len(self._crops)
        logits = []
        for rows in mesh.filled_rows(n, self._size):
            arrays = self._arrays
            if arrays is None:
                batch = crop_arrays.arrays_of(crop_arrays.take(self._crops, rows))
                arrays = mesh.put_global(batch, mesh.replicated(self._layout.mesh))
                rows = np.arange(self._size, dtype=np.int32)
            index = mesh.put_global(rows, self._layout.per_cell())
            logits.append(np.asarray(predict(variables, channel_mask, arrays, index)))
        return np.concatenate(logits, axis=1)[:, :n]
