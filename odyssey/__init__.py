"""Odyssey: turns the idle machines of a LAN into one supercomputer.

This file holds the version and nothing else, so that importing the package costs nothing. The map of the
package is docs/ARCHITECTURE.md.
"""

__version__ = "0.1.0.dev0"
