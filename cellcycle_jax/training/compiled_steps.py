"""The compiled programs: many steps of training, or a prediction, of R models on all devices.

Each of the models has its own state, traits and order of cells; a single model is the case R = 1. The crops of a split
stay on the device as stored integers and are passed as an argument: captured, they would become constants of the
program, which takes tens of seconds to compile.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from cellcycle_jax.dataset.model_input import model_images
from cellcycle_jax.devices.mesh import AXIS, put_global, replicated
from cellcycle_jax.devices.model_sharding import Layout
from cellcycle_jax.training.train_step import SUMS

# Most steps that have been started and not waited for. XLA lets 32 computations be under way on a CPU device; at this
# limit one device can wait, in a sum over devices, for another whose step is never started.
UNDER_WAY = 8


def make_train_program(step, layout: Layout, streamed: bool = False, loops_on_cpu: bool = False):
    """Many steps of R models, compiled once.

    On a CPU it changes nothing in the result, not even the last bit, how the steps of a run are divided into dispatches
    (by scores, checkpoints, an interruption).

    Args:
        step: what `train_step.make_train_step` returned.
        layout: of the models.
        streamed: whether arrays hold the batches themselves, [T, B, ...], in the order of the steps (one model only);
            else they hold all cells, [N, ...], and rows of them are gathered by index.
        loops_on_cpu: whether the model is as quick in a compiled loop on a CPU as outside. Then a program holds all
            steps there too, which saves a tenth of the time; else the host starts each.

    Returns:
        `(traits, state, index i32 [R, T, B], count i32 [R], arrays, valid f32 [B]) -> (state, sums)`, index and count
        in host memory: count of the T steps are done, none by a model that has stopped. sums holds loss, correct and
        count f32 [R, T] of each of these steps, and zeros after them. The state passed in is given up.
    """

    def cells_of(arrays, rows, i):
        return _entries(arrays, i if streamed else rows)

    cells = layout.per_cell(1) if streamed else replicated(layout.mesh)
    if layout.by_host and not loops_on_cpu:
        return _one_after_another(_steps_by_host(step, cells_of, layout, cells), layout)
    dispatch = _steps_in_a_loop(step, cells_of, layout, cells)
    return _one_after_another(dispatch, layout) if layout.by_host else dispatch


def _one_after_another(dispatch, layout):
    """A dispatch of one model for R models, in the order of their number."""
    models = layout.models
    if models == 1:
        return dispatch

    def dispatch_each(traits, state, index, count, arrays, valid):
        sums = []
        states = []
        for r in range(models):
            own_traits = _one_of(traits, r)
            # On the devices already: a state from the host's memory would be compiled for once more.
            own_state = put_global(_one_of(state, r), layout.per_model)
            own = slice(r, r + 1)
            own_state, own_sums = dispatch(own_traits, own_state, index[own], count[own], arrays, valid)
            states.append(jax.device_get(own_state))
            sums.append(jax.device_get(own_sums))
        return jax.tree.map(_joined, *states), jax.tree.map(_joined, *sums)

    return dispatch_each


def _joined(*parts):
    return np.concatenate(parts)


def _steps_by_host(step, cells_of, layout, cells):
    """Steps of one model, each a program that the host starts."""
    per_model_args = layout.per_model
    rows = layout.per_cell()
    shared = replicated(layout.mesh)

    def run(traits, state, rows, i, arrays, valid):
        return step(traits, state, cells_of(arrays, rows, i), valid)

    one_step = jax.jit(
        _squeeze_model_axis(run, per_model_args=2),
        donate_argnums=1,
        in_shardings=(per_model_args, per_model_args, rows, shared, cells, rows),
        out_shardings=per_model_args,
    )

    def dispatch(traits, state, index, count, arrays, valid):
        sums = {name: np.zeros((1, index.shape[1])) for name in SUMS}
        started = []
        for i in range(count[0]):
            batch = put_global(index[0, i], rows)
            state, step_sums = one_step(traits, state, batch, np.int32(i), arrays, valid)
            started.append(step_sums)
            if i >= UNDER_WAY:
                jax.block_until_ready(started[i - UNDER_WAY])
        for i, step_sums in enumerate(jax.device_get(started)):
            for name in SUMS:
                sums[name][0, i] = step_sums[name][0]
        return state, sums

    return dispatch


def _steps_in_a_loop(step, cells_of, layout, cells):
    """All steps in one program: of one model, or of all models side by side."""
    program = loop_program(step, cells_of, layout, cells)

    def dispatch(traits, state, index, count, arrays, valid):
        index = put_global(index, _steps(layout))
        count = put_global(count, layout.per_model)
        return program(traits, state, index, count, arrays, valid)

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

    per_model_args = layout.per_model
    return jax.jit(
        _map_models(run, layout, per_model_args=4),
        donate_argnums=1,
        in_shardings=(per_model_args, per_model_args, _steps(layout), per_model_args, cells, layout.per_cell()),
        out_shardings=per_model_args,
    )


def _steps(layout):
    """The sharding of the rows i32 [R, T, B] of the batches of some steps."""
    return layout.per_model if layout.vectorised else layout.per_cell(2)


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
        image = jnp.where(channel_mask, model_images(inputs, _entries(arrays, index)), 0.0)
        return model.apply(variables, image, train=False)[0]

    per_model_args = layout.per_model
    shared = replicated(layout.mesh)
    program = jax.jit(
        _map_models(predict, layout, per_model_args=2),
        in_shardings=(per_model_args, per_model_args, shared, layout.per_cell()),
        out_shardings=shared,
    )
    if layout.vectorised or layout.models == 1:
        return program

    def each(variables, channel_mask, arrays, index):
        logits = []
        for r in range(layout.models):
            own_variables = _one_of(variables, r)
            own_mask = _one_of(channel_mask, r)
            logits.append(np.asarray(program(own_variables, own_mask, arrays, index)))
        return np.concatenate(logits)

    return each


def _entries(arrays, index):
    return {name: array[index] for name, array in arrays.items()}


def _one_of(tree, r):
    """Model `r` of several, its first axis kept; a copy, since a program may write over what it is given."""
    return jax.tree.map(lambda a: np.array(np.asarray(a)[r : r + 1]), tree)


def _squeeze_model_axis(run, per_model_args: int):
    """`run` of one model for arguments of which the first `per_model_args`, and its results, have a first axis of 1."""

    def alone(*arguments):
        of_model = jax.tree.map(lambda a: a[0], arguments[:per_model_args])
        returned = run(*of_model, *arguments[per_model_args:])
        return jax.tree.map(lambda a: a[None], returned)

    return alone


def _map_models(run, layout, per_model_args: int):
    """`run` of one model for those of a layout; the host gives only one at a time.

    The first `per_model_args` arguments have a first axis R, the others are shared.
    """
    if not layout.vectorised:
        return _squeeze_model_axis(run, per_model_args)

    def vectorised(*arguments):
        shared = arguments[per_model_args:]
        return jax.vmap(lambda *of_model: run(*of_model, *shared))(*arguments[:per_model_args])

    def spread(*arguments):
        divided = PartitionSpec(AXIS)
        specs = (divided,) * per_model_args + (PartitionSpec(),) * (len(arguments) - per_model_args)
        on_devices = jax.shard_map(
            vectorised, mesh=layout.mesh, in_specs=specs, out_specs=divided, check_vma=False
        )
        return on_devices(*arguments)

    return spread
