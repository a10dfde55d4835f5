#!/usr/bin/env python3
"""Saves random weights from Keras in the ways that people have them.

    keras_weights.py DIR

Small networks: a ResNet with Keras' names and one narrow block for each stage
(nets.Tiny) with a head of its own, as

    tiny.h5             weights, legacy layout
    tiny-model.h5       the whole model, compiled and trained one step
    tiny-chunked.h5     the same weights in chunks, as h5repack may leave them
    tiny-old.h5         convolutions named as Keras 1 did, lists as h5py 2 wrote them: VGG16's file
    tiny-nested.h5      the whole network as one layer of another
    tiny-half.h5        float16
    tiny-gzip.h5        compressed
    tiny.weights.h5, tiny.keras     Keras 3's own layouts
    tiny-exported/      a SavedModel of model.export
    tiny-checkpoint-1   a checkpoint of tf.train.Checkpoint, with an optimizer
    v15.h5, v15-exported/           ResNet version 1.5, without biases and with
    vgg19.h5, resnet101.h5, resnet50v2.h5, older.h5, nothing.h5    one layer each

and the two networks themselves: resnet50.h5 with a head, vgg16.h5 without one.
The weights are those of models/nets/testdata/keras_reference.py.
What they answer to that script's picture "image", two of 64×64, stands in
NAME.features, float32 [2, C].
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "nets", "testdata"))

import h5py
import keras
import numpy as np
import tensorflow as tf
from keras.src.legacy.saving import legacy_h5_format

import keras_reference as reference

layers = keras.layers


def tiny(biases=True, stride_at=1):
    """nets.Tiny, with a head of another name."""
    def unit(x, name, filters, size, stride):
        x = layers.Conv2D(filters, size, strides=stride, padding="same", use_bias=biases, name=name + "_conv")(x)
        return layers.BatchNormalization(epsilon=1.001e-5, name=name + "_bn")(x)

    def relu(x):
        return layers.Activation("relu")(x)

    image = keras.Input((64, 64, 3))
    x = layers.ZeroPadding2D(3)(image)
    x = layers.Conv2D(8, 7, strides=2, use_bias=biases, name="conv1_conv")(x)
    x = relu(layers.BatchNormalization(epsilon=1.001e-5, name="conv1_bn")(x))
    x = layers.MaxPooling2D(3, strides=2)(layers.ZeroPadding2D(1)(x))
    for stage, filters in enumerate([4, 4, 8, 8]):
        name, stride = f"conv{stage + 2}_block1", 1 if stage == 0 else 2
        shortcut = unit(x, name + "_0", 4 * filters, 1, stride)
        x = relu(unit(x, name + "_1", filters, 1, stride if stride_at == 1 else 1))
        x = relu(unit(x, name + "_2", filters, 3, stride if stride_at == 2 else 1))
        x = relu(layers.Add()([shortcut, unit(x, name + "_3", 4 * filters, 1, 1)]))
    features = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    return keras.Model(image, layers.Dense(5, name="answers")(features), name="tiny"), keras.Model(image, features)


def fill(model):
    for v in model.variables:
        v.assign(reference.weight(reference.name_of(v), v.shape))


def legacy(folder, name, model):
    with h5py.File(os.path.join(folder, name + ".h5"), "w") as f:
        legacy_h5_format.save_weights_to_hdf5_group(f, model)


def rewritten(folder, name, **settings):
    """tiny.h5 with its datasets stored otherwise."""
    with h5py.File(os.path.join(folder, "tiny.h5")) as f, h5py.File(os.path.join(folder, name + ".h5"), "w") as g:
        g.attrs.update(f.attrs)

        def copy(at, o):
            if isinstance(o, h5py.Group):
                g.create_group(at).attrs.update(o.attrs)
            else:
                some = dict(settings)
                if some.pop("chunked", False):
                    some["chunks"] = tuple(max(1, (n + 1) // 2) for n in o.shape)
                g.create_dataset(at, data=o[()].astype(some.pop("dtype", o.dtype)), **some)

        f.visititems(copy)


def old(folder):
    """tiny.h5 with names and lists as the oldest of Keras' own files have them."""
    with h5py.File(os.path.join(folder, "tiny.h5")) as f, h5py.File(os.path.join(folder, "tiny-old.h5"), "w") as g:
        g.attrs["layer_names"] = np.array([name.encode() for name in f.attrs["layer_names"]])
        for layer in f.attrs["layer_names"]:
            to, names = g.create_group(layer), []
            for path in f[layer].attrs["weight_names"]:
                kind = path.split("/")[-1]
                kind = {"kernel": f"{layer}_W_1", "bias": f"{layer}_b_1"}.get(kind, f"{layer}/{kind}") + ":0"
                names.append(kind.encode())
                to.create_dataset(kind, data=f[layer][path][()])
            to.attrs["weight_names"] = np.array(names)


def answers(folder, name, network, features, size=64):
    image = reference.inputs(network, "image", 2, size, size)
    out = np.asarray(features(image, training=False), "<f4")
    out.tofile(os.path.join(folder, name + ".features"))


def one_layer(folder, name, layer, shape):
    """A file that has one layer, which tells what network it is of."""
    with h5py.File(os.path.join(folder, name + ".h5"), "w") as f:
        f.attrs["layer_names"] = [layer.encode()]
        g = f.create_group(layer)
        g.attrs["weight_names"] = [f"{layer}/kernel:0".encode(), f"{layer}/bias:0".encode()]
        g.create_dataset(f"{layer}/kernel:0", data=np.zeros(shape, "<f4"))
        g.create_dataset(f"{layer}/bias:0", data=np.zeros(shape[-1], "<f4"))


def small(folder):
    model, features = tiny()
    fill(model)
    answers(folder, "tiny", "resnet50", features)
    legacy(folder, "tiny", model)
    rewritten(folder, "tiny-chunked", chunked=True)
    old(folder)
    rewritten(folder, "tiny-half", dtype="<f2")
    rewritten(folder, "tiny-gzip", chunked=True, compression="gzip")
    image = keras.Input((64, 64, 3))
    legacy(folder, "tiny-nested", keras.Model(image, layers.Dense(3, name="top")(model(image))))
    model.save(os.path.join(folder, "tiny.keras"))
    model.save_weights(os.path.join(folder, "tiny.weights.h5"))
    model.export(os.path.join(folder, "tiny-exported"), verbose=False)

    optimizer = keras.optimizers.Adam(0.0)
    model.compile(optimizer, "mse")
    optimizer.build(model.trainable_variables)
    model.save(os.path.join(folder, "tiny-model.h5"))
    tf.train.Checkpoint(model=model, optimizer=optimizer).save(os.path.join(folder, "tiny-checkpoint"))

    legacy(folder, "v15", tiny(biases=False, stride_at=2)[0])
    tiny(stride_at=2)[0].export(os.path.join(folder, "v15-exported"), verbose=False)
    one_layer(folder, "vgg19", "block3_conv4", (3, 3, 256, 256))
    one_layer(folder, "resnet101", "conv4_block23_1_conv", (1, 1, 1024, 256))
    one_layer(folder, "resnet50v2", "post_bn", (2048,))
    one_layer(folder, "older", "res2a_branch2a", (1, 1, 64, 64))
    one_layer(folder, "nothing", "dense", (4, 4))


def full(folder):
    for network in ("resnet50", "vgg16"):
        model = reference.build(network, 64, 64)
        features = keras.Model(model.input, model.outputs[1])
        answers(folder, network, network, features)
        legacy(folder, network, model if network == "resnet50" else features)


if __name__ == "__main__":
    small(sys.argv[1])
    full(sys.argv[1])
