"""Asking another machine: one that keeps no log passes what it is asked on to one that does, and the answer back.

Letters between machines may be lost, late or doubled, so what is answered travels in a window: parts have positions,
what was taken is said, and what was not is sent again.
"""
