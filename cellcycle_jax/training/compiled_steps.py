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
        return _entries(arrays, i if streamed else rows)

    cells = layout.rows(1) if streamed else whole(layout.mesh)
    if layout.by_host:
        return _one_by_one(step, cells_of, layout, cells)
    return _all_at_once(step, cells_of, layout, cells)


def _one_by_one(step, cells_of, layout, cells):
    """Programs of one step of one model, started by the host."""
    models = layout.models
    own = layout.own
    rows = layout.rows()
    shared = whole(layout.mesh)

    def run(traits, state, rows, i, arrays, valid):
        return step(traits, state, cells_of(arrays, rows, i), valid)

    one_step = jax.jit(
        _alone(run, own=2),
        donate_argnums=1,
        in_shardings=(own, own, rows, shared, cells, rows),
        out_shardings=own,
    )

    def dispatch(traits, state, index, count, arrays, valid):
        sums = {name: np.zeros(index.shape[:2]) for name in SUMS}
        states = []
        for r in range(models):
            own_traits = _one_of(traits, r, models)
            own_state = _one_of(state, r, models)
            own_sums = []
            for i in range(count[r]):
                batch = put(index[r, i], rows)
                own_state, step_sums = one_step(own_traits, own_state, batch, np.int32(i), arrays, valid)
                own_sums.append(step_sums)
                if i >= UNDER_WAY:
                    jax.block_until_ready(own_sums[i - UNDER_WAY])
            for i, step_sums in enumerate(jax.device_get(own_sums)):
                for name in SUMS:
                    sums[name][r, i] = step_sums[name][0]
            states.append(own_state)
        if models == 1:
            return states[0], sums
        return jax.tree.map(lambda *parts: np.concatenate(parts), *jax.device_get(states)), sums

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
            state, sums = carry
            state, step_sums = step(traits, state, cells_of(arrays, index[i], i), valid)
            return state, {name: sums[name].at[i].set(value) for name, value in step_sums.items()}

        zeros = jnp.zeros(len(index), jnp.result_type(float))
        return jax.lax.fori_loop(0, count, one, (state, dict.fromkeys(SUMS, zeros)))

    own = layout.own
    return jax.jit(
        _over_models(run, layout, own=4),
        donate_argnums=1,
        in_shardings=(own, own, _steps(layout), own, cells, layout.rows()),
        out_shardings=own,
    )


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
        image = jnp.where(channel_mask, seen(inputs, _entries(arrays, index)), 0.0)
        return model.apply(variables, image, train=False)[0]

    own = layout.own
    shared = whole(layout.mesh)
    program = jax.jit(
        _over_models(predict, layout, own=2),
        in_shardings=(own, own, shared, layout.rows()),
        out_shardings=shared,
    )
    if layout.side_by_side or layout.models == 1:
        return program

    def each(variables, channel_mask, arrays, index):
        logits = []
        for r in range(layout.models):
            own_variables = _one_of(variables, r, layout.models)
            own_mask = _one_of(channel_mask, r, layout.models)
            logits.append(np.asarray(program(own_variables, own_mask, arrays, index)))
        return np.concatenate(logits)

    return each


def _entries(arrays, index):
    return {name: array[index] for name, array in arrays.items()}


def _one_of(tree, r, models):
    """Model `r` of several, its first axis kept; a copy, since a program may write over what it is given."""
    if models == 1:
        return tree
    return jax.tree.map(lambda a: np.array(np.asarray(a)[r : r + 1]), tree)


def _alone(run, own: int):
    """`run` of one model for arguments of which the first `own`, and what it returns, have a first axis of one."""

    def alone(*arguments):
        of_model = jax.tree.map(lambda a: a[0], arguments[:own])
        returned = run(*of_model, *arguments[own:])
        return jax.tree.map(lambda a: a[None], returned)

    return alone


def _over_models(run, layout, own: int):
    """`run` of one model for those of a layout: the first `own` arguments have a first axis R, the others are shared.

    By the host only one model at a time is given.
    """
    if not layout.side_by_side:
        return _alone(run, own)

    def side_by_side(*arguments):
        shared = arguments[own:]
        return jax.vmap(lambda *of_model: run(*of_model, *shared))(*arguments[:own])

    def spread(*arguments):
        divided = PartitionSpec(AXIS)
        specs = (divided,) * own + (PartitionSpec(),) * (len(arguments) - own)
        on_devices = jax.shard_map(
            side_by_side, mesh=layout.mesh, in_specs=specs, out_specs=divided, check_vma=False
        )
        return on_devices(*arguments)

    return spread
