"""Who belongs to a mesh, and how one gets in: keys, certificates, invites, and both sides of a joining.

Promises: nothing here opens a socket; time, chance and keys are handed in.
Never: lets a secret into a text, a log or an error.
"""
