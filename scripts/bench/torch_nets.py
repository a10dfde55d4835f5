"""Keras' VGG16 and ResNet50 (v1) with our head, in PyTorch; random weights,
for time does not depend on them. Input: [N,3,H,W], already preprocessed."""

import torch
import torchvision


def build(name, classes=3):
    torch.manual_seed(1)
    if name == "vgg16":
        features = torchvision.models.vgg16(weights=None).features
        return torch.nn.Sequential(
            features, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
            torch.nn.Dropout(0.5), torch.nn.Linear(512, classes))
    net = torchvision.models.resnet50(weights=None, num_classes=classes)
    # torchvision's is v1.5: the stride sits on the 3×3. Keras' sits on the
    # first 1×1, which is 7 % less work.
    for stage in (net.layer2, net.layer3, net.layer4):
        stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    net.fc = torch.nn.Sequential(torch.nn.Dropout(0.5), net.fc)
    return net


def explained(name, net):
    """The layer that design.md explains: conv5_block3_out, or block5_conv3
    after its ReLU."""
    return net.layer4[-1] if name == "resnet50" else net[0][29]
