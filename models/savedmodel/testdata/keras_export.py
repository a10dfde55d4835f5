#!/usr/bin/env python3
"""Exports two tiny SavedModels the way Keras' users do.

    keras_export.py DIR

writes, each a SavedModel of `model.export`, tag "serve":

    DIR/named    the input is called image, the outputs logits and
                 probabilities: it meets docs/formats.md but for the explain
                 signature, with its preprocessing left to the caller
    DIR/plain    input and output have Keras' own names, as most exports do;
                 softmax only

Both take float32 [N,40,32,3] and know three classes; batch normalisation is
not folded. What they answer stands in

    DIR/expected.json    {"keras": …, "tensorflow": …, "shape": [2,40,32,3],
                          "parameters": …,
                          "answers": {"none": {"logits": [[…]], "probabilities": [[…]]},
                                      "caffe": …, "torch": …, "unit": …}}

The two pictures they answer to are grey: all three channels of pixel i of the
row-major [2,40,32] are i² mod 251. They go in preprocessed by the rule that
each answer is named after, "none" being none: "caffe" and "torch" as Keras'
imagenet_utils does it, "unit" divides by 255.
"""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import keras
import numpy as np
import tensorflow as tf

SHAPE = (2, 40, 32, 3)


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
    grey = (np.arange(np.prod(SHAPE[:3])) ** 2 % 251).astype(np.float32).reshape(SHAPE[:3])
    picture = np.repeat(grey[..., None], 3, axis=-1)
    keras_rule = keras.applications.imagenet_utils.preprocess_input
    inputs = dict(
        none=picture,
        caffe=keras_rule(picture.copy(), data_format="channels_last", mode="caffe"),
        torch=keras_rule(picture.copy(), data_format="channels_last", mode="torch"),
        unit=picture / 255)
    answers = {
        rule: {key: np.asarray(value).tolist() for key, value in named(x, training=False).items()}
        for rule, x in inputs.items()}
    for name, model in (("named", named), ("plain", plain)):
        model.export(os.path.join(out, name), verbose=False)
    with open(os.path.join(out, "expected.json"), "w") as f:
        json.dump(dict(
            keras=keras.__version__, tensorflow=tf.__version__, shape=SHAPE,
            parameters=named.count_params(), answers=answers), f, indent=1)


if __name__ == "__main__":
    main()
