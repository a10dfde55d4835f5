#!/usr/bin/env python3
"""Keras on TensorFlow.

    rival_keras.py eager|function|fit|finetune resnet50|vgg16
    rival_keras.py export resnet50|vgg16 OUT.keras
    rival_keras.py startup MODEL.keras PICTURE

eager and function: classification with Grad-CAM as in Keras' own example, with
a GradientTape over a model that also gives the explained layer, down to the
map as an array; function is the same under tf.function. fit: training with
batches of 16; finetune: the same with the backbone's batch normalisation held, as
in Keras' guide to transfer learning. startup: from a saved model to the answer for one JPEG.
"""

import sys
import time

import numpy as np

import keras_nets
import worker
from keras_nets import keras, tf


def gradcam(name):
    net = keras_nets.build(name)
    both = keras.Model(net.input, [net.get_layer(keras_nets.EXPLAINED[name]).output, net.output])

    def explain(image):
        with tf.GradientTape() as tape:
            activations, logits = both(image, training=False)
            score = tf.reduce_max(logits, axis=1)
        gradients = tape.gradient(score, activations)
        alpha = tf.reduce_mean(gradients, axis=(1, 2), keepdims=True)
        heatmap = tf.nn.relu(tf.reduce_sum(alpha * activations, -1))
        return tf.nn.softmax(logits), heatmap / (tf.reduce_max(heatmap) + 1e-7)

    return explain


def explain_worker(name, compiled):
    explain = gradcam(name)
    if compiled:
        explain = tf.function(explain, input_signature=[tf.TensorSpec((1, 224, 224, 3), tf.float32)])
    image = tf.constant(np.random.default_rng(1).normal(0, 60, (1, 224, 224, 3)), tf.float32)

    def step():
        probabilities, heatmap = explain(image)
        return probabilities.numpy(), heatmap.numpy()

    worker.serve(step, keras_nets.VERSIONS, "tf.function, 2 threads" if compiled else "eager, 2 threads")


class Clock(keras.callbacks.Callback):
    """The milliseconds from one batch's end to the next's."""

    def __init__(self):
        self.ms, self.last = [], 0.0

    def on_train_begin(self, logs=None):
        self.ms, self.last = [], time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        now = time.perf_counter()
        self.ms.append((now - self.last) * 1e3)
        self.last = now


def fit_worker(net, batch=16):
    net.compile(keras.optimizers.Adam(1e-4), keras.losses.CategoricalCrossentropy(from_logits=True))
    random = np.random.default_rng(1)
    images = random.normal(0, 60, (batch, 224, 224, 3)).astype(np.float32)
    labels = np.eye(3, dtype=np.float32)[random.integers(0, 3, batch)]
    data = tf.data.Dataset.from_tensors((images, labels)).repeat().prefetch(2)
    clock = Clock()

    def run(count):
        # fit's start costs some tens of milliseconds: one more step takes it.
        net.fit(data, steps_per_epoch=count + 1, epochs=1, verbose=0, callbacks=[clock])
        return clock.ms[1:]

    worker.serve(worker.Many(run), keras_nets.VERSIONS, f"fit, Adam, batch {batch}, 2 threads")


def startup(model, picture):
    net = keras.saving.load_model(model, compile=False)
    image = tf.image.resize(tf.io.decode_jpeg(tf.io.read_file(picture), 3), (224, 224))
    image = image[None, ..., ::-1] - [103.939, 116.779, 123.68]
    print(int(tf.argmax(net(image, training=False)[0])), flush=True)


if __name__ == "__main__":
    mode, *arguments = sys.argv[1:]
    {
        "eager": lambda name: explain_worker(name, False),
        "function": lambda name: explain_worker(name, True),
        "fit": lambda name: fit_worker(keras_nets.build(name)),
        "finetune": lambda name: fit_worker(keras_nets.finetuned(name)),
        "export": lambda name, out: keras_nets.build(name).save(out),
        "startup": startup,
    }[mode](*arguments)
