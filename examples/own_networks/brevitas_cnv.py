"""Brevitas's own CNV, of 1 or 2 bits (`brevitas_cnv.py 2`): rramsim reads what it quantised."""

import sys
from pathlib import Path

from brevitas_examples.bnn_pynq.models.CNV import CNV
from common import digits, fit, simulated_errors

import rramsim.nn as rn
from rramsim.figures import loss_figure, save_figure

bits = int(sys.argv[1])
images, labels, test_images, test_labels = digits()
model = CNV(10, weight_bit_width=bits, act_bit_width=bits, in_bit_width=8, in_ch=3)
rn.convert(fit(model, images, labels, steps=60), rn.Quantised(binary=bits == 1))
table = rn.test(model, simulated_errors(), test_images, test_labels, name=f"CNV {bits}W{bits}A")
print(table[["vdd_v", "accuracy", "accuracy_low", "accuracy_high"]])
with rn.program(model, seed=1).reading(vdd_v=1.05):
    print("on one chip:", on_chip := rn.accuracy(model, test_images, test_labels))
print(rn.costs(model, test_images[:8], simulated_errors(), vdd_v=1.05)[["flow", "total_j"]])
save_figure(loss_figure(table), Path(), f"cnv_{bits}w{bits}a")
