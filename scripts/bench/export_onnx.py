#!/usr/bin/env python3
"""Writes a network as ONNX, for ONNX Runtime and OpenVINO.

    export_onnx.py resnet50|vgg16 OUT.onnx

One picture, 224×224, its size fixed; batch norm is folded by the exporter.
"""

import sys
import warnings

import torch

import torch_nets

if __name__ == "__main__":
    name, out = sys.argv[1:]
    warnings.simplefilter("ignore")  # the exporter that folds is the older one
    torch.onnx.export(torch_nets.build(name).eval(), torch.zeros(1, 3, 224, 224), out, dynamo=False,
                      opset_version=17, input_names=["image"], output_names=["logits"])
