"""Small programs that run in hosts: who hears whom, by datagrams and by multicast."""

from __future__ import annotations

from typing import Final

PORT: Final = 7999
GROUP: Final = "224.0.0.251"

# Prints one line for each datagram: who sent it, and what.
LISTEN: Final = f"""
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("", {PORT}))
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("{GROUP}") + socket.inet_aton("0.0.0.0"))
print("listening", flush=True)
while True:
    data, (host, _) = s.recvfrom(100)
    print(host, data.decode(), flush=True)
"""

# To each address that is told, so often; what cannot be sent is what a cut cable is like.
SEND: Final = f"""
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
word, count, *addresses = sys.argv[1:]
for address in addresses:
    for _ in range(int(count)):
        try:
            s.sendto(word.encode(), (address, {PORT}))
        except OSError:
            pass
"""

# Asks each address in turn, straight, who offers what we offer; prints who answers with more than nothing.
ASK: Final = """
import socket, sys
question = b"\\0\\1\\0\\0\\0\\1" + bytes(6) + b"\\x08_odyssey\\x04_tcp\\x05local\\0\\0\\x0c\\0\\1"
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(20)
for address in sys.argv[1:]:
    s.sendto(question, (address, 5353))
while True:
    data, (host, _) = s.recvfrom(9000)
    print(host, b"odyssey" in data, flush=True)
    if host == sys.argv[-1]:
        break
"""

# How long it takes until so many bytes have come over TCP, in seconds.
FETCH: Final = """
import socket, sys, time
if sys.argv[1] == "serve":
    with socket.create_server(("", 7998)) as s:
        print("serving", flush=True)
        c, _ = s.accept()
        with c:
            c.sendall(bytes(int(sys.argv[2])))
else:
    began, got = time.monotonic(), 0
    with socket.create_connection((sys.argv[2], 7998), 10) as c:
        while data := c.recv(65536):
            got += len(data)
    print(got, time.monotonic() - began)
"""
