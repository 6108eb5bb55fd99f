"""The brain: what jobs are, what may change them, where they go, and why.

Promises: the same input gives the same answer on every machine; nothing here waits, reads a clock, rolls dice or
touches the world. Time, chance and observations come in as arguments; decisions and events go out as data.
"""
