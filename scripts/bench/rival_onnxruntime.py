#!/usr/bin/env python3
"""Classification alone by ONNX Runtime, float32: rival_onnxruntime.py MODEL.onnx"""

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


if __name__ == "__main__":
    s = session(sys.argv[1])
    image = np.random.default_rng(1).normal(0, 60, (1, 3, 224, 224)).astype(np.float32)
    worker.serve(lambda: s.run(None, {"image": image}),
                 {"onnxruntime": onnxruntime.__version__},
                 "float32, all graph optimisations, sequential, 2 threads")
