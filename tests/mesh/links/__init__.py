"""The links: what decides on virtual time and memory wires, the sockets on the loopback."""
