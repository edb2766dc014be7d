"""Measurements of Bihuan against a plain way of doing the same, in the same minutes on the same machine.

`bihuan bench NAME`. What is promised is a ratio or a growth, never a time; the promises stand in `budgets.toml`.
"""
