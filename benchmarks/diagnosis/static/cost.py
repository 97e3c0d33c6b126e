"""What an audit of a checkpoint of ResNet-50's size costs: `python -m benchmarks.diagnosis.static.cost`."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import torch
from torch import nn

import bncheck
from bncheck.formats import from_module, open_model
from bncheck.weights import predictions_of


class Bottleneck(nn.Module):
    """Three convolutions and a shortcut (He et al. 2016, figure 5 right)."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        self.downsample = nn.Sequential()
        if inputs != 4 * width:
            conv = nn.Conv2d(inputs, 4 * width, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(4 * width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (N, C, H, W)."""
        y = torch.relu(self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))))
        return torch.relu(self.bn3(self.conv3(y)) + self.downsample(x))


def resnet50_size() -> nn.Module:
    """53 BatchNorm layers, 25.6 million parameters, and the statistics of noise that it was fed once."""
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    inputs = 64
    for width, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for index in range(blocks):
            layers.append(Bottleneck(inputs, width, 1 if index else stride))
            inputs = 4 * width
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000))
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = None
            nn.init.normal_(norm.bias, std=0.3)
    with torch.no_grad():
        net.train()(torch.randn(8, 3, 64, 64))
    return net.eval()


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "weights.pt")
        torch.save(resnet50_size().state_dict(), path)
        bncheck.inspect(path)  # what is imported on the way
        begun = time.process_time()
        bncheck.inspect(path)
        whole = time.process_time() - begun
        model = open_model(path)
        begun = time.process_time()
        judged = len(predictions_of(model).layers)
        predicting = time.process_time() - begun
        module = from_module(resnet50_size())
        begun = time.process_time()
        wired = len(predictions_of(module).layers)
        by_graph = time.process_time() - begun
        print(f"{by_graph:.2f} s of CPU for {wired} layers of the module, its graph and what that loads included")
        print(f"{whole:.2f} s of CPU for the audit, {predicting:.2f} s of them for {judged} layers")


if __name__ == "__main__":
    main()
