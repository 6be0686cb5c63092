"""Architectures: `(image f32 [B, S, S, K], train) -> (logits f32 [B, P], taps {name: f32 [B, h, w, D]})`.

A new architecture is one file beside these and one line in `MODELS`, or a class outside the repository that the config
names as `package.module:Class`.
"""

import ast
import dataclasses
import typing

import flax.linen as nn

from cellcycle_jax import extensions
from cellcycle_jax.errors import UsageError

# name in the config -> where its class is; imported when it is asked for
MODELS = {
    "nagao2020": "cellcycle_jax.models.nagao2020:NagaoCNN",
    "resnet": "cellcycle_jax.models.resnet:ResNet",
}
COMMON = ("classes", "filters", "depth", "dropout", "dtype")  # fields that have a config field of their own
OF_FLAX = ("parent", "name")


def build(
    name: str,
    classes: int,
    filters: int,
    depth: int,
    dropout: float,
    dtype: str = "float32",
    options=(),
) -> nn.Module:
    """The model called `name`, without parameters.

    Args:
        name: a key of `MODELS`, or `package.module:Class`.
        classes: number P of classes.
        filters: channels of the first convolution.
        depth: stages after the first.
        dropout: share of units dropped before the last layer while training.
        dtype: 'float32', 'bfloat16' or 'float64', what the network computes in.
        options: texts "field=value", of further fields of the class.

    Returns:
        The class is given those of the arguments of which it has fields, and its options.

    Raises:
        UsageError: there is no such class, or an option is not one of its fields, or of another type.
    """
    architecture = architecture_of(name)
    fields = fields_of(name)
    common = {"classes": classes, "filters": filters, "depth": depth, "dropout": dropout, "dtype": dtype}
    given = {}
    for field, value in common.items():
        if field in fields:
            given[field] = value
    return architecture(**given, **_options(architecture, fields, options))


def architecture_of(name: str) -> type[nn.Module]:
    """The class of a model; `name` and errors as of `build`."""
    if name in MODELS:
        return extensions.load(MODELS[name], "model.name")
    return extensions.find(name, MODELS, "model.name")


def fields_of(name: str) -> dict[str, dataclasses.Field]:
    """The fields of a model's class, its hyperparameters, by name."""
    fields = {}
    for field in dataclasses.fields(architecture_of(name)):
        if field.name not in OF_FLAX:
            fields[field.name] = field
    return fields


def _options(architecture, fields, texts) -> dict:
    """The values of options, {field: value}, each of the type of its field."""
    name = architecture.__name__
    own_fields = [field for field in fields if field not in COMMON]
    types = typing.get_type_hints(architecture)
    values = {}
    for text in texts:
        field, _, value = str(text).partition("=")
        if field in COMMON:
            raise UsageError(f"config.model.options={text!r}: set config.model.{field} instead")
        if field not in own_fields:
            allowed = ", ".join(own_fields) or "none"
            raise UsageError(f"config.model.options={text!r}: {name} has no such field; allowed: {allowed}")
        values[field] = _typed(text, value, types[field])
    for field in own_fields:
        if field not in values and _has_no_default(fields[field]):
            raise UsageError(f"config.model.options: {name} needs a value of {field}; write {field}=VALUE")
    return values


def _has_no_default(field) -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def _typed(text, value, wanted):
    """The value of an option as the type that its field has; of types beyond these whatever the text stands for."""
    try:
        given = ast.literal_eval(value)
    except (ValueError, SyntaxError):
        given = value
    if wanted is str:
        return value
    if wanted is float and isinstance(given, int):
        given = float(given)
    is_tuple = wanted is tuple or typing.get_origin(wanted) is tuple
    if is_tuple and not isinstance(given, tuple):
        raise UsageError(f"config.model.options={text!r}: the field is a tuple; write it as (4,8), of one value (4,)")
    if wanted in (bool, int, float) and type(given) is not wanted:
        raise UsageError(f"config.model.options={text!r}: the field is of type {wanted.__name__}")
    return given
