"""ResNet-18 of torchvision's form: ternary weights with a scale a channel, on simulated RRAM."""

from pathlib import Path

from common import ResNet18, digits, fit, simulated_errors

import rramsim.nn as rn
from rramsim.figures import loss_figure, save_figure

images, labels, test_images, test_labels = digits()
model = rn.convert(ResNet18(), rn.Twn(scale="channel"), exclude="conv1")
fit(model, images, labels, steps=60)
table = rn.test(model, simulated_errors(), test_images, test_labels)
print(table[["vdd_v", "accuracy", "accuracy_low", "accuracy_high", "quantiser_loss"]])
with rn.program(model, seed=1).reading(vdd_v=1.05):
    print("on one chip:", on_chip := rn.accuracy(model, test_images, test_labels))
print(rn.costs(model, test_images[:8], simulated_errors(), vdd_v=1.05)[["flow", "total_j"]])
save_figure(loss_figure(table), Path(), "resnet18")
