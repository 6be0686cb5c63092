"""The compiled programs: many steps of training, or a prediction, of R models on all devices.

Each of the models has its own state, traits and order of cells; a single model is the case R = 1. The crops of a split
stay on the device as stored integers and are passed as an argument: captured, they would become constants of the
program, which takes tens of seconds to compile.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from cellcycle_jax.dataset.model_input import seen
from cellcycle_jax.devices.mesh import AXIS, put, whole
from cellcycle_jax.devices.model_sharding import Layout
from cellcycle_jax.training.train_step import SUMS

# Most steps that have been started and not waited for. XLA lets 32 computations be under way on a CPU device; at this
# limit one device can wait, in a sum over devices, for another whose step is never started.
UNDER_WAY = 8


def make_train_program(step, layout: Layout, streamed: bool = False):
    """Many steps of R models, compiled once.

    On a CPU it changes nothing in the result, not even the last bit, how the steps of a run are divided into dispatches
    (by scores, checkpoints, an interruption).

    Args:
        step: what `train_step.make_train_step` returned.
        layout: of the models.
        streamed: whether arrays hold the batches themselves, [T, B, ...], in the order of the steps (one model only);
            else they hold all cells, [N, ...], and rows of them are gathered by index.

    Returns:
        `(traits, state, index i32 [R, T, B], count i32 [R], arrays, valid f32 [B]) -> (state, sums)`, index and count
        in host memory: count of the T steps are done, none by a model that has stopped. sums holds loss, correct and
        count f32 [R, T] of each of these steps, and zeros after them. The state passed in is given up.
    """

    def cells_of(arrays, rows, i):
        return {name: a[i] if streamed else a[rows] for name, a in arrays.items()}

    cells = layout.rows(1) if streamed else whole(layout.mesh)
    return (_one_by_one if layout.by_host else _all_at_once)(step, cells_of, layout, cells)


def _one_by_one(step, cells_of, layout, cells):
    """Programs of one step of one model, started by the host."""
    models, own, rows, all_ = layout.models, layout.own, layout.rows(), whole(layout.mesh)

    def run(traits, state, rows, i, arrays, valid):
        return step(traits, state, cells_of(arrays, rows, i), valid)

    one = jax.jit(_alone(run, own=2), donate_argnums=1, out_shardings=own,
                  in_shardings=(own, own, rows, all_, cells, rows))

    def dispatch(traits, state, index, count, arrays, valid):
        sums = {name: np.zeros(index.shape[:2]) for name in SUMS}
        after = []
        for r in range(models):
            trait, now = _one_of(traits, r, models), _one_of(state, r, models)
            found = []
            for i in range(count[r]):
                now, new = one(trait, now, put(index[r, i], rows), np.int32(i), arrays, valid)
                found.append(new)
                if i >= UNDER_WAY:
                    jax.block_until_ready(found[i - UNDER_WAY])
            for i, new in enumerate(jax.device_get(found)):
                for name in SUMS:
                    sums[name][r, i] = new[name][0]
            after.append(now)
        return after[0] if models == 1 else jax.tree.map(lambda *a: np.concatenate(a), *jax.device_get(after)), sums

    return dispatch


def _all_at_once(step, cells_of, layout, cells):
    program = loop_program(step, cells_of, layout, cells)

    def dispatch(traits, state, index, count, arrays, valid):
        return program(traits, state, put(index, _steps(layout)), put(count, layout.own), arrays, valid)

    return dispatch


def loop_program(step, cells_of, layout, cells):
    """One compiled program of all steps of all models.

    Args:
        step: what `train_step.make_train_step` returned.
        cells_of: `(arrays, rows i32 [B], step i32 []) -> cells` of a batch.
        layout: of the models.
        cells: sharding of the arrays.

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

    own = layout.own
    return jax.jit(_over_models(run, layout, own=4), donate_argnums=1, out_shardings=own,
                   in_shardings=(own, own, _steps(layout), own, cells, layout.rows()))


def _steps(layout):
    """The sharding of the rows i32 [R, T, B] of the batches of some steps."""
    return layout.own if layout.side_by_side else layout.rows(2)


def make_predict_program(model, inputs, layout: Layout):
    """Logits of R models, compiled once; with `layout.by_host` one model after the other.

    Args:
        model: Flax module, `(image, train) -> (logits, taps)`.
        inputs: as in `train_step.make_train_step`.
        layout: of the models.

    Returns:
        `(variables [R], channel_mask bool [R, K], arrays, index i32 [B]) -> logits f32 [R, B, P]`.
    """

    def predict(variables, channel_mask, arrays, index):
        image = seen(inputs, {name: a[index] for name, a in arrays.items()})
        return model.apply(variables, jnp.where(channel_mask, image, 0.0), train=False)[0]

    own, all_ = layout.own, whole(layout.mesh)
    program = jax.jit(_over_models(predict, layout, own=2), out_shardings=all_,
                      in_shardings=(own, own, all_, layout.rows()))
    if layout.side_by_side or layout.models == 1:
        return program

    def each(variables, channel_mask, arrays, index):
        models = ((_one_of(variables, r, layout.models), _one_of(channel_mask, r, layout.models))
                  for r in range(layout.models))
        return np.concatenate([np.asarray(program(*model, arrays, index)) for model in models])

    return each


def _one_of(tree, r, models):
    """Model `r` of several, its first axis kept; a copy, since a program may write over what it is given."""
    return tree if models == 1 else jax.tree.map(lambda a: np.array(np.asarray(a)[r : r + 1]), tree)


def _alone(run, own: int):
    """`run` of one model for arguments of which the first `own`, and what it returns, have a first axis of one."""

    def alone(*arguments):
        first = jax.tree.map(lambda a: a[0], arguments[:own])
        return jax.tree.map(lambda a: a[None], run(*first, *arguments[own:]))

    return alone


def _over_models(run, layout, own: int):
    """`run` of one model for those of a layout: the first `own` arguments have a first axis R, the others are shared.

    By the host only one model at a time is given.
    """
    if not layout.side_by_side:
        return _alone(run, own)

    def side_by_side(*arguments):
        return jax.vmap(lambda *each: run(*each, *arguments[own:]))(*arguments[:own])

    def spread(*arguments):
        specs = tuple(PartitionSpec(AXIS) if i < own else PartitionSpec() for i in range(len(arguments)))
        return jax.shard_map(side_by_side, mesh=layout.mesh, in_specs=specs, out_specs=PartitionSpec(AXIS),
                             check_vma=False)(*arguments)

    return spread
