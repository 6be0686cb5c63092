"""The compiled programs: many steps of training, or a prediction, of R models on all devices.

Each of the models has its own state, traits and order of cells; a single model is the case R = 1. The crops of a split
stay on the device as stored integers and are passed as an argument: captured, they would become constants of the
program, which takes tens of seconds to compile.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from cellcycle_jax.mesh import AXIS, divided, padded_size, put, whole
from cellcycle_jax.steps import SUMS, seen


def make_train_program(step, mesh, models: int, streamed: bool = False, by_host: bool | None = None):
    """Many steps of R models, compiled once.

    On an accelerator the models run side by side, and their steps in a loop inside the program. On a CPU the host
    starts one step of one model after the other: inside a loop XLA leaves the gradients of flax's convolutions in
    an order of axes for which its CPU code is 10 to 40 times slower (`models.convolution.convolve` avoids it, other
    architectures need not know), and grouped convolutions, which models side by side become, are slow too. Either
    way it changes nothing in the result, not even the last bit, how the steps of a run are divided into dispatches
    (by scores, checkpoints, an interruption).

    Args:
        step: what `steps.make_train_step` returned.
        mesh: devices. With one model the batch is divided over them, with several the models are.
        models: their number R; several are a multiple of the number of devices.
        streamed: whether arrays hold the batches themselves, [T, B, ...], in the order of the steps (one model only);
            else they hold all cells, [N, ...], and rows of them are gathered by index.
        by_host: start steps and models one by one; None: as said above.

    Returns:
        `(traits, state, index i32 [R, T, B], count i32 [R], arrays, valid f32 [B]) -> (state, sums)`, index and count
        in host memory: count of the T steps are done, none by a model that has stopped. sums holds loss, correct and
        count f32 [R, T] of each of these steps, and zeros after them. The state passed in is given up.
    """
    if by_host is None:
        by_host = _is_cpu(mesh) and (models == 1 or mesh.size == 1)

    def cells_of(arrays, rows, i):
        return {name: a[i] if streamed else a[rows] for name, a in arrays.items()}

    cells = divided(mesh, 1) if streamed else whole(mesh)
    make = _one_by_one if by_host else _all_at_once
    return make(step, cells_of, mesh, models, (cells, index_sharding(models, mesh)))


def _one_by_one(step, cells_of, mesh, models, shared):
    """Programs of one step of one model, started by the host."""

    def run(traits, state, rows, i, arrays, valid):
        return step(traits, state, cells_of(arrays, rows, i), valid)

    rows, all_ = divided(mesh), whole(mesh)
    one = jax.jit(_over_models(run, mesh, 1, own=2), donate_argnums=1, out_shardings=all_,
                  in_shardings=(all_, all_, rows, all_, shared[0], rows))

    def dispatch(traits, state, index, count, arrays, valid):
        sums = {name: np.zeros(index.shape[:2]) for name in SUMS}
        after = []
        for r in range(models):
            own, now = _one_of(traits, r, models), _one_of(state, r, models)
            found = []
            for i in range(count[r]):
                now, new = one(own, now, put(index[r, i], rows), np.int32(i), arrays, valid)
                found.append(new)
            for i, new in enumerate(jax.device_get(found)):
                for name in SUMS:
                    sums[name][r, i] = new[name][0]
            after.append(now)
        return after[0] if models == 1 else jax.tree.map(lambda *a: np.concatenate(a), *jax.device_get(after)), sums

    return dispatch


def _all_at_once(step, cells_of, mesh, models, shared):
    program = loop_program(step, cells_of, mesh, models, shared)
    own = own_sharding(models, mesh)
    rows = divided(mesh, 2) if models == 1 else own

    def dispatch(traits, state, index, count, arrays, valid):
        return program(traits, state, put(index, rows), put(count, own), arrays, valid)

    return dispatch


def loop_program(step, cells_of, mesh, models: int, shared):
    """One compiled program of all steps of all models.

    Args:
        step: what `steps.make_train_step` returned.
        cells_of: `(arrays, rows i32 [B], step i32 []) -> cells` of a batch.
        mesh, models: as in `make_train_program`.
        shared: shardings of arrays and valid.

    Returns:
        As `make_train_program`, index and count in the memory of the devices.
    """

    def run(traits, state, index, count, arrays, valid):
        def one(i, carry):
            state, done = carry
            state, sums = step(traits, state, cells_of(arrays, index[i], i), valid)
            return state, {name: done[name].at[i].set(value) for name, value in sums.items()}

        nothing = jnp.zeros(len(index), jnp.result_type(float))
        return jax.lax.fori_loop(0, count, one, (state, dict.fromkeys(SUMS, nothing)))

    own = own_sharding(models, mesh)
    rows = divided(mesh, 2) if models == 1 else own
    return jax.jit(_over_models(run, mesh, models, own=4), donate_argnums=1, out_shardings=own,
                   in_shardings=(own, own, rows, own, *shared))


def make_predict_program(model, inputs, mesh, models: int):
    """Logits of R models, compiled once; on a CPU one model after the other.

    Args:
        model: Flax module, `(image, train) -> (logits, taps)`.
        inputs: as in `steps.make_train_step`.
        mesh, models: as in `make_train_program`.

    Returns:
        `(variables [R], channel_mask bool [R, K], arrays, index i32 [B]) -> logits f32 [R, B, P]`.
    """
    by_host = _is_cpu(mesh) and mesh.size == 1
    at_once = 1 if by_host else models

    def predict(variables, channel_mask, arrays, index):
        image = seen(inputs, {name: a[index] for name, a in arrays.items()})
        return model.apply(variables, jnp.where(channel_mask, image, 0.0), train=False)[0]

    own, all_ = own_sharding(at_once, mesh), whole(mesh)
    program = jax.jit(_over_models(predict, mesh, at_once, own=2), out_shardings=all_,
                      in_shardings=(own, own, all_, index_sharding(models, mesh)))
    if not by_host:
        return program

    def each(variables, channel_mask, arrays, index):
        given = ((_one_of(variables, r, models), _one_of(channel_mask, r, models)) for r in range(models))
        return np.concatenate([np.asarray(program(*own, arrays, index)) for own in given])

    return each


def _is_cpu(mesh):
    return mesh.devices.flat[0].platform == "cpu"


def _one_of(tree, r, models):
    """Model `r` of several, its first axis kept; a copy, since a program may write over what it is given."""
    return tree if models == 1 else jax.tree.map(lambda a: np.array(np.asarray(a)[r : r + 1]), tree)


def batch_size(batch: int, models: int, mesh) -> int:
    """Cells that a program is given for a batch: with one model a multiple of the number of devices."""
    return padded_size(batch, mesh) if models == 1 else batch


def own_sharding(models: int, mesh):
    """How what each model has for itself lies on the devices: whole for one model, divided by model for several."""
    return whole(mesh) if models == 1 else divided(mesh)


def index_sharding(models: int, mesh):
    """How the entries of a batch lie on the devices: divided for one model, whole for several."""
    return divided(mesh) if models == 1 else whole(mesh)


def _over_models(run, mesh, models, own: int):
    """`run` of one model for R of them: the first `own` arguments have a first axis R, the others are shared."""
    if models == 1:
        def alone(*arguments):
            first = jax.tree.map(lambda a: a[0], arguments[:own])
            return jax.tree.map(lambda a: a[None], run(*first, *arguments[own:]))

        return alone

    def side_by_side(*arguments):
        return jax.vmap(lambda *each: run(*each, *arguments[own:]))(*arguments[:own])

    def spread(*arguments):
        specs = tuple(PartitionSpec(AXIS) if i < own else PartitionSpec() for i in range(len(arguments)))
        return jax.shard_map(side_by_side, mesh=mesh, in_specs=specs, out_specs=PartitionSpec(AXIS),
                             check_vma=False)(*arguments)

    return spread
