"""How machines reach each other: encrypted connections, letters on one lane, bytes on another.

    switchboard ── channel ── letters   (control lane: small, acknowledged, beats first)
         │            │  └─── answers   (bulk lane: pieces on credit)
         │          lines
       wires ── zap, doorman, sockets   (the only part that knows zmq)

All that decides is made of callbacks and knows no socket: it is given lines, and told what came on which. So it runs on
virtual time too. Nothing here is imported before a machine has company.

Promises: a message counts only as long as the key it was encrypted with belongs to a member; one that is put out is not
heard from that moment on.
Never: believes what a peer says of itself, or decides who is a member: a `Doorkeeper` does.
"""
