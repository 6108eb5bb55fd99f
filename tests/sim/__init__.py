"""Whole nodes on virtual time from one seed, with faults, and what must hold after every step.

Promises: one seed is one history, on every machine and Python; a failing one prints the line that repeats it.
Never: sleeps, starts a thread, or opens a socket.
"""
