"""Chaos: real daemons on hosts in a box, under work, while machines and cables fail; jobs are the witnesses.

`python -m tests.chaos --minutes 3 --seed 7` is one run; `make chaos MIN=30` the long one.
"""
