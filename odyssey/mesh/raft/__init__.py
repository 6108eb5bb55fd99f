"""Consensus without a world: messages and ticks in, things to write and to send out.

Promises: safe under loss, delay, doubling and reordering of messages, and under crashes at any moment, as long as what
it says must be written first is written first.
Never: reads a clock, draws chance by itself, sends or writes.
"""
