"""Brevitas's own CNV, 1W1A and 2W2A: its quantisers decide, rramsim reads what they made."""

from pathlib import Path

from brevitas_examples.bnn_pynq.models.CNV import CNV
from common import digits, fit, simulated_errors

import rramsim.nn as rn
from rramsim.figures import loss_figure, save_figure

tables = []
images, labels, test_images, test_labels = digits()
for bits, quantiser in ((1, rn.Quantised(binary=True)), (2, rn.Quantised())):
    model = CNV(10, weight_bit_width=bits, act_bit_width=bits, in_bit_width=8, in_ch=3)
    rn.convert(fit(model, images, labels, steps=60), quantiser)
    table = rn.test(model, simulated_errors(), test_images, test_labels, name=f"CNV {bits}W{bits}A")
    tables.append(table)
    print(table[["vdd_v", "accuracy", "accuracy_low", "accuracy_high"]])
    with rn.program(model, seed=1).reading(vdd_v=1.05):
        print("on one chip:", rn.accuracy(model, test_images, test_labels))
    print(rn.costs(model, test_images[:8], simulated_errors(), vdd_v=1.05)[["flow", "total_j"]])
    save_figure(loss_figure(table), Path(), f"cnv_{bits}w{bits}a")
