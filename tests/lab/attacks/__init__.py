"""Attackers on the LAN of live daemons, one program for each kind, and what of their work must come to nothing.

What they try against the pieces of the program alone is in `tests/mesh/links` and `tests/mesh/trust`.
"""
