#!/usr/bin/env python3
"""PyTorch.

    rival_torch.py gradcam|frozen|train resnet50|vgg16 [--contiguous]
    rival_torch.py export resnet50|vgg16 DIR
    rival_torch.py startup MODEL.pt PICTURE

gradcam: classification with Grad-CAM by pytorch-grad-cam as its README does
it. frozen: the same with the gradients of everything before the explained
layer switched off, which its README does not mention. train: AdamW, batches of
16. All channels-last unless --contiguous is given. export: writes the network
to DIR as ONNX, with batch norm folded, and as TorchScript. startup: from that
TorchScript to the answer for one picture.
"""

import sys
import warnings

import numpy as np
import torch

import worker

# torch_nets is imported where it is used: torchvision takes its time, and the
# start-up does without.


def gradcam_worker(name, frozen, layout):
    import torch_nets
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
    import torch_nets

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


def export(name, folder):
    import torch_nets

    net = torch_nets.build(name).eval()
    image = torch.zeros(1, 3, 224, 224)
    warnings.simplefilter("ignore")  # the exporter that folds is the older one
    torch.onnx.export(net, image, f"{folder}/{name}.onnx", dynamo=False, opset_version=17,
                      input_names=["image"], output_names=["logits"])
    torch.jit.save(torch.jit.freeze(torch.jit.trace(net, image)), f"{folder}/{name}.pt")


def startup(model, picture):
    image = torch.from_numpy(worker.load(picture).copy()).permute(2, 0, 1)[None]
    with torch.inference_mode():
        print(int(torch.jit.load(model)(image).argmax()), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(worker.THREADS)
    mode, *arguments = sys.argv[1:]
    layout = torch.channels_last
    if arguments[-1] == "--contiguous":
        layout = torch.contiguous_format
        arguments.pop()
    {
        "gradcam": lambda name: gradcam_worker(name, False, layout),
        "frozen": lambda name: gradcam_worker(name, True, layout),
        "train": lambda name: train_worker(name, layout),
        "export": export,
        "startup": startup,
    }[mode](*arguments)
