"""From a netlist to an energy-accuracy figure in ten statements.

python examples/ten_lines.py [FIGURE.png]     a minute, with scikit-learn's digits
"""

import sys

import rramsim as rs

circuit = rs.circuit(process="sky130-5v")  # or netlist="my_amplifier.spice"
print(rs.sense(circuit, vdd_v=1.2, r_bl_ohm=10e3, r_blb_ohm=350e3))
counted = rs.sweep(circuit, vdd_v=[0.96, 1.0, 1.1, 1.2], samples=500)
print(rs.error_rates(counted).to_dataframe()[["rate", "low", "high"]].dropna())
data = rs.images("digits")
trained = rs.train(data, weights="ternary", architecture="mlp", width=64, epochs=10)
print("without read errors:", trained.test)
# Without rare=False it also finds the rates of errors that 500 senses hardly see, in minutes.
front = rs.tradeoff(trained, counted, data, circuit=circuit, rare=False)
print(front)
rs.plot_tradeoff(front)[0].figure.savefig(sys.argv[1] if sys.argv[1:] else "ten_lines.png")
