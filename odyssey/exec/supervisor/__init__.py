"""The process that owns the children of a machine. It needs nothing but Python's own library, so that it starts in
milliseconds, stays small, and goes on when the daemon is upgraded, hangs or dies.

Never: imports a part of Odyssey that is not in this folder.
"""
