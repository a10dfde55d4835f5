#!/usr/bin/env python3
"""Writes the values that models/nets is compared with: what Keras' own VGG16
and ResNet50 answer when their weights come from one formula.

    keras_reference.py [--out DIR]

needs the environment of scripts/requirements-keras.txt and writes, into DIR
(this script's folder by default), keras.json, keras.bin and
keras_variables.json. README.md beside it says how to read them. Nothing here
is random: the same versions on the same kind of CPU write the same files.

The formula
-----------
Every number of every weight and picture comes from a name and an index, so
both sides can compute it and nothing large is stored. All integers are
unsigned, 32 bits wide, and wrap.

    h = FNV-1a of the name's bytes (offset basis 2166136261, prime 16777619)
    x = h + i * 0x9E3779B9
    x = murmur3's finaliser of x:
        x ^= x >> 16;  x *= 0x85EBCA6B
        x ^= x >> 13;  x *= 0xC2B2AE35
        x ^= x >> 16
    u(name, i) = x / 2^31 - 1                        in [-1, 1), as a float64

A variable's name is its layer's name and its own, "conv1_conv/kernel"; i is
the index into its row-major flat array (kernels are HWIO, the dense kernel
[C, 3]). Its value is computed in float64 and rounded once, to float32:

    kernel of a convolution      g * sqrt(6 / fan_in) * u      fan_in = h*w*in
    predictions/kernel           0.25 * sqrt(6 / C) * u
    bias                         0.05 * u
    gamma                        g * (1 + 0.2 * u)
    beta                         b + 0.1 * u
    moving_mean                  0.1 * u
    moving_variance              1 + 0.5 * u

The gain g is 1/64 for the first convolution (conv1_conv, block1_conv1), which
sees pixels and not activations; 1/4 for the last batch norm of each residual
branch (layers ending in _3_bn), without which sixteen blocks explode and the
gradients through batch statistics are mostly rounding; else 1. The shift b is
0 for those same layers, else 1.5: with batch statistics it keeps most units
away from the ReLU's corner, where one unit's rounding flips a whole gradient
(without it Keras in float32 is 20 % off Keras in float64).

A picture batch is [N, H, W, 3], values 0 to 255, coarse squares of 16
pixels plus a fine grain, so that the heatmap has something to show. With i the flat
index of [n, y, x, c], and j the flat index of [n, y div 16, x div 16, c] in
an array [N, ceil(H/16), ceil(W/16), 3]:

    pixel = 127.5 + 100 * u("image/coarse", j) + 27.5 * u("image/fine", i)

The training cases take another batch, the same with PICTURE/coarse and
PICTURE/fine for names, where PICTURE is the case's "picture".
"""

import argparse
import json
import os
import platform
import sys

# oneDNN picks its kernels by the CPU it finds; Eigen's differ less from one
# machine to the next.
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import keras
import numpy as np
import tensorflow as tf

LIMIT = 1024  # numbers kept of one tensor; longer ones are thinned

NETWORKS = {
    "resnet50": dict(
        make=keras.applications.ResNet50,
        preprocess=keras.applications.resnet.preprocess_input,
        layers=["conv5_block3_out"],
        gradients=[
            "conv1_conv/kernel",
            "conv1_bn/gamma",
            "conv3_block2_2_conv/kernel",
            "conv4_block3_2_bn/gamma",
            "conv5_block3_3_bn/beta",
            "predictions/kernel",
            "predictions/bias",
        ],
        moving=["conv1_bn", "conv4_block3_2_bn", "conv5_block3_2_bn"],
    ),
    "vgg16": dict(
        make=keras.applications.VGG16,
        preprocess=keras.applications.vgg16.preprocess_input,
        layers=["block5_conv3", "block5_pool"],
        gradients=[
            "block1_conv1/kernel",
            "block1_conv1/bias",
            "block3_conv2/kernel",
            "block5_conv3/kernel",
            "block5_conv3/bias",
            "predictions/kernel",
            "predictions/bias",
        ],
        moving=[],
    ),
}
# Height, width: square, tall as a spine is, and one whose halves do not come
# out even, where a wrong padding or rounding shows.
SIZES = [(64, 64), (96, 64), (112, 72)]
CLASSES = {"top": [-1, -1], "fixed": [2, 0]}
LABELS = [0, 2, 1, 2]  # of the training batch
MOMENTUM = 0.9
# Chosen so that no unit of either network sits so close to the corner of its
# ReLU, or two in one pooling window so close to each other, that rounding
# decides where a gradient flows: with other names one flip costs 1e-3 to 1e-2.


def u(name, count):
    """The formula's first `count` numbers for a name, float64 in [-1, 1)."""
    h = 2166136261
    for b in name.encode():
        h = (h ^ b) * 16777619 & 0xFFFFFFFF
    x = (np.arange(count, dtype=np.uint64) * 0x9E3779B9 + h).astype(np.uint32)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x85EBCA6B)
    x ^= x >> np.uint32(13)
    x *= np.uint32(0xC2B2AE35)
    x ^= x >> np.uint32(16)
    return x.astype(np.float64) / 2.0**31 - 1


def weight(name, shape):
    """A variable's value, float32."""
    v = u(name, int(np.prod(shape))).reshape(shape)
    layer, kind = name.split("/")
    if kind == "kernel":
        fan_in = np.prod(shape[:-1])
        gain = {"conv1_conv": 1 / 64, "block1_conv1": 1 / 64,
                "predictions": 1 / 4}.get(layer, 1)
        v = gain * np.sqrt(6 / fan_in) * v
    else:
        at, scale = {
            "bias": (0, 0.05),
            "gamma": (1, 0.2),
            "beta": (0, 0.1),
            "moving_mean": (0, 0.1),
            "moving_variance": (1, 0.5),
        }[kind]
        v = at + scale * v
        if kind == "gamma" and layer.endswith("_3_bn"):
            v = v / 4
        if kind == "beta" and not layer.endswith("_3_bn"):
            v = 1.5 + v
    return v.astype(np.float32)


def picture(name, n, height, width):
    """A batch of pictures by name, float32 [n, height, width, 3], 0 to 255."""
    rows, columns = -(-height // 16), -(-width // 16)
    coarse = u(f"{name}/coarse", n * rows * columns * 3).reshape(n, rows, columns, 3)
    coarse = coarse.repeat(16, 1).repeat(16, 2)[:, :height, :width]
    fine = u(f"{name}/fine", n * height * width * 3).reshape(n, height, width, 3)
    return (127.5 + 100 * coarse + 27.5 * fine).astype(np.float32)


def name_of(variable):
    """A variable's name as the formula wants it: layer/kind."""
    return "/".join(variable.path.split("/")[-2:])


def build(network, height, width):
    """Keras' own network, our head, the formula's weights.

    Its outputs are the logits, the features and the explained layers.
    """
    net = NETWORKS[network]
    base = net["make"](include_top=False, weights=None, input_shape=(height, width, 3))
    features = keras.layers.GlobalAveragePooling2D(name="avg_pool")(base.output)
    x = keras.layers.Dropout(0.5, name="dropout")(features)
    logits = keras.layers.Dense(3, name="predictions")(x)
    layers = [base.get_layer(name).output for name in net["layers"]]
    model = keras.Model(base.input, [logits, features] + layers)
    for v in model.variables:
        if "seed" not in v.path:
            v.assign(weight(name_of(v), v.shape))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = MOMENTUM
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0  # the references have no dropout
    return model


def inputs(network, name, n, height, width):
    """The preprocessed batch, in Keras' floatx."""
    x = NETWORKS[network]["preprocess"](
        picture(name, n, height, width).astype(np.float64))
    return tf.constant(x, keras.config.floatx())


def explain(network, height, width):
    """Logits, features, and for each class index and layer its Grad-CAM."""
    model = build(network, height, width)
    x = inputs(network, "image", 2, height, width)
    out = {}
    for which, indices in CLASSES.items():
        with tf.GradientTape() as tape:
            logits, features, *layers = model(x, training=False)
            top = tf.argmax(logits, axis=1, output_type=tf.int32)
            used = tf.where(tf.constant(indices) < 0, top, tf.constant(indices))
            score = tf.gather(logits, used, axis=1, batch_dims=1)
        gradients = tape.gradient(score, layers)
        out[f"{which}/class_index"] = used
        for name, a, g in zip(NETWORKS[network]["layers"], layers, gradients):
            alpha = tf.reduce_mean(g, axis=(1, 2), keepdims=True)
            out[f"{which}/{name}/gradients"] = g
            out[f"{which}/{name}/gradcam"] = tf.nn.relu(tf.reduce_sum(alpha * a, -1))
            out[f"{which}/{name}/hirescam"] = tf.nn.relu(tf.reduce_sum(g * a, -1))
    out["logits"] = logits
    out["probabilities"] = tf.nn.softmax(logits)
    out["features"] = features
    for name, a in zip(NETWORKS[network]["layers"], layers):
        out[f"{name}/activations"] = a
    return out


def steady(network, height, width, batch_statistics):
    """The first batch of pictures whose gradients no ReLU's kink can disturb.

    A value that lies within rounding of zero before a ReLU switches a whole
    path on or off, and moves the gradients by up to 1e-3: then two right
    implementations disagree. So the pictures are moved by a few times float32's
    rounding, and a batch whose gradients move by more than 1e-5 is passed over.
    """
    for number in range(1, 100):
        name = f"pictures-{number}"
        at = [train(network, height, width, batch_statistics, name, 1 + step)
              for step in (0, 2e-6, -2e-6, 5e-6, -5e-6)]
        if all(np.abs(moved[k] - at[0][k]).max() <= 1e-5 * np.abs(at[0][k]).max()
               for moved in at[1:] for k in moved if k.startswith("gradient/")):
            return name
    raise SystemExit("no steady batch of pictures found")


def train(network, height, width, batch_statistics, name, scale=1):
    """Loss and gradients of one batch, and the moving statistics after it."""
    model = build(network, height, width)
    net = NETWORKS[network]
    x = inputs(network, name, len(LABELS), height, width) * scale
    onehot = tf.one_hot(LABELS, 3, dtype=x.dtype)
    variables = {name_of(v): v for v in model.variables}
    chosen = [variables[name] for name in net["gradients"]]
    with tf.GradientTape() as tape:
        logits = model(x, training=batch_statistics)[0]
        loss = tf.reduce_mean(
            tf.nn.softmax_cross_entropy_with_logits(onehot, logits))
    gradients = tape.gradient(loss, [v.value for v in chosen])
    out = {"logits": logits, "loss": loss}
    for name, g in zip(net["gradients"], gradients):
        out[f"gradient/{name}"] = g
    if batch_statistics:
        for layer in net["moving"]:
            for kind in ("moving_mean", "moving_variance"):
                out[f"{layer}/{kind}"] = variables[f"{layer}/{kind}"].value
    return out


def cases():
    """Every case: its name, its facts, and the function that computes it."""
    for network in NETWORKS:
        for height, width in SIZES:
            yield (f"{network}/{height}x{width}/explain",
                   dict(network=network, batch=2, height=height, width=width,
                        picture="image", class_index=CLASSES),
                   lambda n=network, h=height, w=width: explain(n, h, w))
        for mode in ("batch", "frozen"):
            if mode == "batch" and not NETWORKS[network]["moving"]:
                continue  # VGG16 has no batch norm: there is one way to train it
            name = steady(network, 64, 64, mode == "batch")
            facts = dict(network=network, batch=len(LABELS), height=64, width=64,
                         picture=name, labels=LABELS, statistics=mode)
            if mode == "batch":
                facts["momentum"] = MOMENTUM
            yield (f"{network}/64x64/train-{mode}", facts,
                   lambda n=network, m=mode, p=name: train(n, 64, 64, m == "batch", p))


def stride_of(count):
    """The smallest odd step that keeps at most LIMIT numbers; odd, so that it
    meets every channel."""
    stride = -(-count // LIMIT)
    return stride if stride % 2 else stride + 1


def compute(function, floatx):
    keras.config.set_floatx(floatx)
    keras.backend.clear_session()
    return {k: np.asarray(v) for k, v in function().items()}


def main():
    parser = argparse.ArgumentParser(description="write Keras' reference values")
    parser.add_argument("--out", default=os.path.dirname(os.path.abspath(__file__)))
    args = parser.parse_args()
    tf.config.experimental.enable_op_determinism()

    index, blob = [], bytearray()
    for case, facts, function in cases():
        single, double = compute(function, "float32"), compute(function, "float64")
        tensors = {}
        for name, value in single.items():
            largest = float(np.abs(value).max())
            flat = value.astype("<f4").ravel()
            stride = stride_of(flat.size)
            kept = flat[::stride]
            off = float(np.abs(value.astype(np.float64) - double[name]).max())
            tensors[name] = dict(
                shape=list(value.shape), stride=stride, offset=len(blob),
                count=int(kept.size), max_abs=largest,
                sum_abs=float(np.abs(flat.astype(np.float64)).sum()),
                float64_error=float(f"{off / largest if largest else off:.2g}"))
            blob += kept.tobytes()
        index.append(dict(case=case, **facts, tensors=tensors))
        print(case, "worst against float64:",
              max((t["float64_error"], n) for n, t in tensors.items()), file=sys.stderr)

    versions = dict(python=platform.python_version(), tensorflow=tf.__version__,
                    keras=keras.__version__, numpy=np.__version__, onednn=False)
    with open(os.path.join(args.out, "keras.bin"), "wb") as f:
        f.write(blob)
    with open(os.path.join(args.out, "keras.json"), "w") as f:
        f.write(lines(dict(versions=versions, cases=index)) + "\n")
    with open(os.path.join(args.out, "keras_variables.json"), "w") as f:
        f.write(lines({network: variables(network) for network in NETWORKS}) + "\n")


def variables(network):
    """A network's variables in Keras' order, each with enough of its value to
    tell a wrong formula from a wrong network."""
    keras.config.set_floatx("float32")
    return [dict(name=name_of(v), shape=list(v.shape), trainable=bool(v.trainable),
                 first=float(np.asarray(v).ravel()[0]),
                 sum_abs=float(np.abs(np.asarray(v, np.float64)).sum()))
            for v in build(network, 64, 64).variables if "seed" not in v.path]


def lines(value, indent=""):
    """JSON with a line for each object that holds no other object."""
    inner = indent + " "
    if isinstance(value, dict) and any(map(nested, value.values())):
        body = [f"{inner}{json.dumps(k)}: {lines(v, inner)}" for k, v in value.items()]
        return "{\n" + ",\n".join(body) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(v, dict) for v in value):
        body = [inner + lines(v, inner) for v in value]
        return "[\n" + ",\n".join(body) + f"\n{indent}]"
    return json.dumps(value)


def nested(value):
    return isinstance(value, dict) or (
        isinstance(value, list) and any(isinstance(v, dict) for v in value))


if __name__ == "__main__":
    main()
