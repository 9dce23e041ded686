"""The verbs of the field's work, as `import rramsim as rs` gives them.

They have no logic of their own: each builds the values of the packages below and calls what the
stages of a run call. Every argument has its unit in its name, every result is labelled.
"""
