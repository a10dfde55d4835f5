#!/usr/bin/env python3
"""ONNX Runtime: classification alone, float32.

    rival_onnxruntime.py classify MODEL.onnx
    rival_onnxruntime.py startup MODEL.onnx PICTURE
"""

import sys

import numpy as np
import onnxruntime

import worker


def session(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = worker.THREADS
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def startup(model, picture):
    image = worker.load(picture)[None].transpose(0, 3, 1, 2)
    logits, = session(model).run(None, {"image": np.ascontiguousarray(image)})
    print(logits.argmax(), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "startup":
        startup(*sys.argv[2:])
    else:
        s = session(sys.argv[2])
        image = np.random.default_rng(1).normal(0, 60, (1, 3, 224, 224)).astype(np.float32)
        worker.serve(lambda: s.run(None, {"image": image}),
                     {"onnxruntime": onnxruntime.__version__},
                     "float32, all graph optimisations, sequential, 2 threads")
