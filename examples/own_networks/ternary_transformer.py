"""A small transformer with BitNet's ternary weights (round(w / mean|w|)) on simulated RRAM."""

from pathlib import Path

from common import Transformer, digits, fit, simulated_errors

import rramsim.nn as rn
from rramsim.figures import loss_figure, save_figure

images, labels, test_images, test_labels = digits(side=8, channels=1)
model = rn.convert(Transformer(features=8), rn.AbsMean(), layers="blocks.*")
fit(model, images[:, 0], labels, steps=300)  # the eight rows of an image are its tokens
table = rn.test(model, simulated_errors(), test_images[:, 0], test_labels)
print(table[["vdd_v", "accuracy", "accuracy_low", "accuracy_high", "quantiser_loss"]])
with rn.program(model, seed=1).reading(vdd_v=1.05):
    print("on one chip:", on_chip := rn.accuracy(model, test_images[:, 0], test_labels))
print(rn.costs(model, test_images[:8, 0], simulated_errors(), vdd_v=1.05)[["flow", "total_j"]])
save_figure(loss_figure(table), Path(), "ternary_transformer")
