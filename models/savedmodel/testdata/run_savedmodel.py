#!/usr/bin/env python3
"""Runs a SavedModel from Python and prints what every signature answers.

    run_savedmodel.py DIR INPUT.bin --shape N,H,W,3 [--class-index I,I,…]

INPUT.bin holds N·H·W·3 little-endian float32. Each signature gets them as its
float32 input, and the class indices (all −1 by default) as its int32 input if
it has one. Standard output is one JSON object:

    {"tensorflow": "2.18.1",
     "signatures": {"serving_default": {"logits": {"dtype": "float32",
                                                   "shape": [2, 3],
                                                   "values": [0.5, …]}, …}, …}}

with the values row-major, and every float32 written so that it reads back as
itself. It ends with 1 and TensorFlow's message when the model does not load or
run.
"""

import argparse
import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import numpy as np
import tensorflow as tf


def numbers(text):
    return [int(n) for n in text.split(",")]


def feeds(signature, image, class_index):
    """The signature's inputs by name, told apart by their types."""
    by_type = {tf.float32: image, tf.int32: class_index}
    inputs = signature.structured_input_signature[1]
    return {name: by_type[spec.dtype] for name, spec in inputs.items()}


def answer(tensor):
    values = tensor.numpy()
    return dict(dtype=tensor.dtype.name, shape=list(values.shape),
                values=values.ravel().tolist())


def main():
    parser = argparse.ArgumentParser(description="run a SavedModel's signatures")
    parser.add_argument("dir")
    parser.add_argument("input")
    parser.add_argument("--shape", type=numbers, required=True)
    parser.add_argument("--class-index", type=numbers)
    args = parser.parse_args()

    image = tf.constant(np.fromfile(args.input, "<f4").reshape(args.shape))
    class_index = tf.constant(args.class_index or [-1] * args.shape[0], tf.int32)
    model = tf.saved_model.load(args.dir)
    out = {}
    for name, signature in model.signatures.items():
        answers = signature(**feeds(signature, image, class_index))
        out[name] = {key: answer(value) for key, value in answers.items()}
    json.dump(dict(tensorflow=tf.__version__, signatures=out), sys.stdout)
    print()


if __name__ == "__main__":
    try:
        main()
    except (tf.errors.OpError, OSError, ValueError) as e:
        sys.exit(f"run_savedmodel: {e}")
