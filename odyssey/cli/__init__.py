"""The face that types: words in, requests to the local daemon, text and an exit status out.

Promises: it is a client like any other; it knows of the rooms behind the counter nothing.
Never: decides what only the mesh can decide.
"""
