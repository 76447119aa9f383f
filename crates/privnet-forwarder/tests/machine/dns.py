# A DNS server whose answers a test chooses: `dns.py ADDRESS FILE`. The file is read at each question:
# Each is a line in `served`.
# {"addresses": ["10.0.0.1"], "ttl": 1} answers with them (none: an empty answer); {"rcode": 2} fails; {"silent": true} says nothing.
import json
import socket
import struct
import sys

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((sys.argv[1], 53))
print("ready", flush=True)
while True:
    query, peer = server.recvfrom(4096)
    with open(sys.argv[2]) as file:
        zone = json.load(file)
    with open("served", "a") as file:
        print(peer, file=file)
    if zone.get("silent"):
        continue
    addresses = zone.get("addresses", [])
    head = query[:2] + struct.pack("!HHHHH", 0x8180 | zone.get("rcode", 0), 1, len(addresses), 0, 0)
    records = (b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, zone.get("ttl", 1), 4) + socket.inet_aton(a) for a in addresses)
    server.sendto(head + query[12:] + b"".join(records), peer)
