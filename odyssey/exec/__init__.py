"""The hands of a machine: a small process of its own that starts what the daemon tells it, and the daemon's side of it.

Never: decides what runs where. It starts, watches, freezes, kills, and says how things ended.
"""
