"""A power cut of the whole product: a real daemon is watched, and started again on what a disk may have kept.

The store alone has been tried on disks that forget, on virtual time, for long (`tests/sim`). What is around it is not
one module: keys, blobs, standard inputs, outputs, a process that runs jobs, SQLite's own files. So nothing is rebuilt
here: `record` runs the real daemon with people at its door under strace, `calls` reads what they asked of the system,
`disk` knows what is certain to be there after a power cut at any moment (what was synced, in a folder that was synced)
and draws the rest, `image` puts that down, and `check` starts the real daemon on it and asks for everything that was
acknowledged before that moment. `python -m tests.power` does this for many moments.
"""
