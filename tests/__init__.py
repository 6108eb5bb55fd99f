"""Tests mirror the package: one file for a module, `fakes` and `contracts` for the ports.

Never: a test that depends on how fast this machine is. So property tests have no deadline for an example.
"""

from hypothesis import settings

settings.register_profile("odyssey", deadline=None)
settings.load_profile("odyssey")
