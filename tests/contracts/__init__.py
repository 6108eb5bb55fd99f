"""One file for a port: the same promises, kept by the real side and by the fake."""
