#!/usr/bin/env python3
"""Exports two tiny SavedModels the way Keras' users do.

    keras_export.py DIR

writes, each a SavedModel of `model.export`, tag "serve":

    DIR/named    the input is called image, the outputs logits and
                 probabilities: it meets docs/formats.md but for the explain
                 signature, with its preprocessing left to the caller
    DIR/plain    input and output have Keras' own names, as most exports do;
                 softmax only

Both take float32 [N,32,24,3] and know three classes; batch normalisation is
not folded. What they answer stands in

    DIR/expected.json    {"keras": …, "tensorflow": …, "shape": [2,32,24,3],
                          "parameters": …, "logits": [[…]], "probabilities": [[…]]}

The two pictures they answer to: value i of the row-major flat array is i² mod
251. They go in as they are, not preprocessed.
"""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import keras
import numpy as np
import tensorflow as tf

SHAPE = (2, 32, 24, 3)


def build():
    keras.utils.set_random_seed(7)
    image = keras.Input(SHAPE[1:], name="image")
    x = keras.layers.Rescaling(1 / 128)(image)
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", name="conv")(x)
    x = keras.layers.BatchNormalization(
        name="bn",
        gamma_initializer=keras.initializers.RandomUniform(0.5, 1.5),
        moving_mean_initializer=keras.initializers.RandomNormal(stddev=0.1))(x)
    x = keras.layers.Activation("relu", name="relu")(x)
    x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
    logits = keras.layers.Dense(
        3, kernel_initializer=keras.initializers.RandomNormal(stddev=2), name="predictions")(x)
    probabilities = keras.layers.Softmax(name="softmax")(logits)
    named = keras.Model(image, {"logits": logits, "probabilities": probabilities})
    return named, keras.Model(image, probabilities)


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: keras_export.py DIR")
    out = sys.argv[1]
    named, plain = build()
    picture = (np.arange(np.prod(SHAPE)) ** 2 % 251).astype(np.float32).reshape(SHAPE)
    answers = named(picture, training=False)
    for name, model in (("named", named), ("plain", plain)):
        model.export(os.path.join(out, name), verbose=False)
    with open(os.path.join(out, "expected.json"), "w") as f:
        json.dump(dict(
            keras=keras.__version__, tensorflow=tf.__version__, shape=SHAPE,
            parameters=named.count_params(),
            **{key: np.asarray(value).tolist() for key, value in answers.items()}), f, indent=1)


if __name__ == "__main__":
    main()
