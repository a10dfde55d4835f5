#!/usr/bin/env python3
"""PyTorch.

    rival_torch.py gradcam|gradcam-frozen|train resnet50|vgg16 [--contiguous]

gradcam: classification with Grad-CAM by pytorch-grad-cam as its README does
it. gradcam-frozen: the same with the gradients of everything before the
explained layer switched off, which few would think of. train: AdamW, batches
of 16. Channels-last unless --contiguous is given.
"""

import argparse

import numpy as np
import torch

import torch_nets
import worker


def gradcam_worker(name, frozen, layout):
    from pytorch_grad_cam import GradCAM

    net = torch_nets.build(name).eval().to(memory_format=layout)
    target = torch_nets.explained(name, net)
    if frozen:
        for p in net.parameters():
            p.requires_grad_(False)
        # The library looks for gradients at the layer's output: something in
        # the layer must still want them.
        if name == "resnet50":
            target.bn3.weight.requires_grad_(True)
        else:
            net[0][28].bias.requires_grad_(True)
    cam = GradCAM(model=net, target_layers=[target])
    image = torch.from_numpy(np.random.default_rng(1).normal(0, 1, (1, 3, 224, 224)).astype(np.float32))
    image = image.to(memory_format=layout)
    worker.serve(lambda: (cam(input_tensor=image, targets=None), cam.outputs.detach().numpy()),
                 versions(), settings(layout))


def train_worker(name, layout, batch=16):
    net = torch_nets.build(name).train().to(memory_format=layout)
    optimiser = torch.optim.AdamW(net.parameters(), 1e-4)
    loss_of = torch.nn.CrossEntropyLoss()
    images = torch.randn(batch, 3, 224, 224).to(memory_format=layout)
    labels = torch.randint(0, 3, (batch,))

    def step():
        optimiser.zero_grad(set_to_none=True)
        loss = loss_of(net(images), labels)
        loss.backward()
        optimiser.step()
        return loss.item()

    worker.serve(step, versions(), f"AdamW, batch {batch}, {settings(layout)}")


def versions():
    import importlib.metadata as metadata

    return {"torch": torch.__version__, "grad-cam": metadata.version("grad-cam")}


def settings(layout):
    return ("channels-last" if layout == torch.channels_last else "contiguous") + ", 2 threads"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="a PyTorch worker")
    parser.add_argument("mode", choices=["gradcam", "gradcam-frozen", "train"])
    parser.add_argument("name", choices=["resnet50", "vgg16"])
    parser.add_argument("--contiguous", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(worker.THREADS)
    layout = torch.contiguous_format if args.contiguous else torch.channels_last
    if args.mode == "train":
        train_worker(args.name, layout)
    else:
        gradcam_worker(args.name, args.mode == "gradcam-frozen", layout)
