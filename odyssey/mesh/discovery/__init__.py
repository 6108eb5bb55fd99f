"""Finding each other: which networks a machine is on, who is there, where to knock, and why nobody answered.

Promises: nothing is said or heard on a network that nobody has called known; hints are all that comes of it: who is
believed is decided elsewhere.
Never: joins anything, or costs a machine that has asked nobody for the LAN an import.
"""
