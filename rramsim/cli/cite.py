"""How to cite the program and what it reproduces, as BibTeX."""

__all__ = ["BIBTEX"]

BIBTEX = """@software{{rramsim,
  title   = {{rramsim: from a transistor netlist to a trained network}},
  author  = {{{{The rramsim authors}}}},
  version = {{{version}}},
  license = {{GPL-3.0-or-later}}
}}

@inproceedings{{laborieux2020,
  title  = {{Low Power In-Memory Implementation of Ternary Neural Networks with Resistive RAM-Based
            Synapse}},
  author = {{Laborieux, Axel and Bocquet, Marc and Hirtzlin, Tifenn and Klein, Jacques-Olivier and
            Herrera Diez, Liza and Nowak, Etienne and Vianello, Elisa and Portal, Jean-Michel and
            Querlioz, Damien}},
  year   = {{2020}},
  url    = {{https://arxiv.org/abs/2005.01973}}
}}"""
