"""The networks that are compared, in Keras: the same layers and parameters as in cellcycle_jax/models."""

import keras
import tensorflow as tf
from keras import layers

from bench.protocol import CLASSES, DROPOUT, EPSILON, NETWORKS, SMALLEST_MAP, group_size


def build(name: str, learning_rate: float, jit="auto") -> keras.Model:
    """The network called `name`, compiled for training: f32 [B, S, S, K] -> logits f32 [B, P]."""
    network = NETWORKS[name]
    image = layers.Input((network.size, network.size, network.channels))
    x = {"nagao2020": plain, "resnet": residual}[network.architecture](image, network)
    logits = layers.Dense(CLASSES, dtype="float32")(layers.Dropout(DROPOUT)(x))
    model = keras.Model(image, logits)
    model.compile(keras.optimizers.RMSprop(learning_rate, rho=0.9, epsilon=1e-7),
                  keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=jit)
    return model


def plain(x, network):
    """Convolutions with pooling, flattened."""
    for stage in range(network.depth + 1):
        filters = network.filters * 2**stage
        x = layers.MaxPooling2D(2)(layers.Conv2D(filters, 3, padding="same", activation="relu")(x))
    return layers.Dense(2 * filters, activation="relu")(layers.Flatten()(x))


def residual(x, network):
    """Residual blocks, averaged."""
    x = keras.ops.reshape(x, (-1, network.size // 2, 2, network.size // 2, 2, network.channels))
    x = keras.ops.reshape(keras.ops.transpose(x, (0, 1, 3, 2, 4, 5)),
                          (-1, network.size // 2, network.size // 2, 4 * network.channels))
    x = layers.Conv2D(network.filters, 3, padding="same", activation="relu")(x)
    for stage in range(network.depth + 1):
        filters = network.filters * 2**stage
        if stage and x.shape[1] > SMALLEST_MAP:
            x = layers.AveragePooling2D(2)(x)
        shortcut = x if x.shape[-1] == filters else layers.Conv2D(filters, 1, use_bias=False)(x)
        for _ in range(2 if stage == network.depth else 1):
            width = x.shape[-1]
            x = layers.ReLU()(layers.GroupNormalization(width // group_size(width), epsilon=EPSILON)(x))
            x = layers.Conv2D(filters, 3, padding="same")(x)
        x = layers.Add()([shortcut, x])
    return layers.GlobalAveragePooling2D()(layers.ReLU()(x))


def device_name() -> str:
    """What kind of device Keras runs on, for the tables."""
    found = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_device_details(found[0])["device_name"] if found else "cpu"


def versions() -> dict[str, str]:
    """Of Keras and what it runs on."""
    return {"Keras": keras.__version__, "TensorFlow": tf.__version__}
