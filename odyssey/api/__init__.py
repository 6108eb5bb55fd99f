"""The counter: what a person or a program may ask of the daemon of this machine, and what it answers.

`requests`, `views` and `frames` are the language, `operations` is the table of all that can be asked; faces import only
these and a client. The rest is the daemon's side: it is handed what it needs as the ports of `ports`.
"""
