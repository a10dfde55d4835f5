#!/usr/bin/env python3
"""OpenVINO: classification alone, float32.

    rival_openvino.py classify MODEL.onnx
"""

import sys

import numpy as np
import openvino

import worker


def compiled(model):
    core = openvino.Core()
    return core.compile_model(core.read_model(model), "CPU", {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": worker.THREADS,
        "NUM_STREAMS": 1,
        # Its own choice on a CPU with AVX512_BF16 is bfloat16.
        "INFERENCE_PRECISION_HINT": "f32",
    })


if __name__ == "__main__":
    model = compiled(sys.argv[2])
    precision = model.get_property("INFERENCE_PRECISION_HINT").to_string()
    if precision != "f32":
        sys.exit(f"rival_openvino: it runs in {precision}, not in f32")
    request = model.create_infer_request()
    image = np.random.default_rng(1).normal(0, 60, (1, 3, 224, 224)).astype(np.float32)
    request.set_input_tensor(openvino.Tensor(image))
    worker.serve(request.infer, {"openvino": openvino.__version__.split("-")[0]},
                 "f32 forced, latency hint, 1 stream, 2 threads")
