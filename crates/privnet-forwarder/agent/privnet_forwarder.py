#!/usr/bin/env python3
# The agent of a privnet forwarder: it follows DNS names, keeps the kernel's map, and answers health ports.
#
#     agent.py load                      load the rules once, at boot
#     agent.py run                       follow names and serve health until it is stopped
#     agent.py check ENGINE ADDRESS PORT check one database, and say what is wrong with it
#
# Standard library only, Python 3.9 or later. All of this, compressed, has to fit into AWS's 16 KiB of user data.
import asyncio
import concurrent.futures
import errno
import ipaddress
import json
import os
import re
import socket
import ssl
import struct
import subprocess
import sys
import time

ETC = "/etc/privnet-forwarder/"
STATE = "/run/privnet-forwarder/state.json"
TABLE = "ip privnet_forwarder "
# Without any of these the table is not the one that was loaded.
VITAL = ("hook prerouting", "hook postrouting", "hook forward", "dnat ", "masquerade")
TIMEOUT = 5
DNS_PORT = 53


class Fault(Exception):
    pass


def log(text):
    print(text, flush=True)


# ---- Checks: one for each engine, on a socket that is connected. A check that returns has passed. Each is a complete exchange, so
# that the server neither logs an error nor counts an interrupted connection.


def exact(sock, size):
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise Fault("it closed the connection")
        data += part
    return data


def check_postgres(sock):
    # SSLRequest: the server answers one byte. After an `N` a client may leave; after an `S` leaving is logged unless TLS is
    # finished first. Whether its certificate is good is the consumer's business.
    sock.sendall(struct.pack("!II", 8, 80877103))
    answer = exact(sock, 1)
    if answer == b"S":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            context.wrap_socket(sock).unwrap()
        except OSError:
            pass
    elif answer != b"N":
        raise Fault("it does not speak PostgreSQL")


def mysql_packet(sock):
    head = exact(sock, 4)
    return head[3], exact(sock, head[0] | head[1] << 8 | head[2] << 16)


def mysql_send(sock, number, body):
    sock.sendall(struct.pack("<I", len(body) | (number & 255) << 24) + body)


def mysql_refused(body):
    return Fault("MySQL error %d %s" % (struct.unpack("<H", body[1:3])[0], body[3:].decode("ascii", "replace")))


def check_mysql(sock):
    # The whole handshake: leaving after the greeting counts towards max_connect_errors, and then the server blocks this machine.
    # An account that does not exist is refused in a complete handshake, which does not count.
    number, body = mysql_packet(sock)
    if body[:1] == b"\xff":
        raise mysql_refused(body)
    if body[:1] != b"\n":
        raise Fault("it does not speak MySQL")
    login = struct.pack("<IIB23x", 0x88201, 1 << 24, 33) + b"privnet_health\0\0mysql_native_password\0"
    mysql_send(sock, number + 1, login)
    for _ in range(5):
        number, body = mysql_packet(sock)
        if body[:1] == b"\0":
            mysql_send(sock, 0, b"\1")
            return
        if body[:1] == b"\xff":
            # Too many connections, shutting down, blocked, not allowed from here, out of resources: nobody gets in. Any other is
            # about our account only.
            if struct.unpack("<H", body[1:3])[0] in (1040, 1041, 1053, 1129, 1130):
                raise mysql_refused(body)
            return
        # Another method is asked for; this is the empty password in each.
        mysql_send(sock, number + 1, b"" if b"native" in body else b"\0")
    raise Fault("its handshake does not end")


def check_sqlserver(sock):
    # TDS prelogin: version 0, no encryption yet. The answer is a table response that begins with its version.
    options = b"\0\0\x0b\0\6\1\0\x11\0\1\xff" + bytes(7)
    sock.sendall(struct.pack("!BBHI", 18, 1, 8 + len(options), 0) + options)
    head = exact(sock, 8)
    if head[0] != 4 or exact(sock, max(struct.unpack("!H", head[2:4])[0] - 8, 1))[0] != 0:
        raise Fault("it does not speak TDS")


def check_oracle(sock):
    # A TNS ping. The listener accepts, refuses with its version, redirects or asks to send again: it is there.
    data = b"(CONNECT_DATA=(COMMAND=ping))"
    body = struct.pack("!HHHHHHHHHHIBB24x", 310, 300, 0, 2048, 32767, 32520, 0, 1, len(data), 58, 0, 0, 0) + data
    sock.sendall(struct.pack("!HHBBH", 8 + len(body), 0, 1, 0, 0) + body)
    head = exact(sock, 8)
    if head[4] not in (2, 4, 5, 11):
        raise Fault("it does not speak TNS")
    if head[4] != 11:
        exact(sock, struct.unpack("!H", head[:2])[0] - 8)


def check(engine, address, port):
    with socket.create_connection((address, port), TIMEOUT) as sock:
        sock.settimeout(TIMEOUT)
        if engine != "other":
            globals()["check_" + engine](sock)


# ---- DNS: our own question over UDP, because the C library does not tell an empty answer from a failed server, nor the TTL.


def skip_name(data, at):
    while data[at]:
        if data[at] >= 192:
            return at + 2
        at += data[at] + 1
    return at + 1


def ask(server, name, stream=False):
    ident = os.urandom(2)
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    query = ident + bytes((1, 0, 0, 1, 0, 0, 0, 0, 0, 0)) + labels + bytes((0, 0, 1, 0, 1))
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM) as sock:
        sock.settimeout(2)
        sock.connect((server, DNS_PORT))
        if stream:
            sock.sendall(struct.pack("!H", len(query)) + query)
            data = exact(sock, struct.unpack("!H", exact(sock, 2))[0])
        else:
            sock.send(query)
            data = sock.recv(4096)
    end = len(query)
    if len(data) < end or data[:2] != ident or data[12:end].lower() != query[12:].lower():
        raise Fault("the answer is to another question")
    flags, _, count = struct.unpack("!HHH", data[2:8])
    if flags & 0x200 and not stream:
        return ask(server, name, True)
    if flags & 15:
        raise Fault({2: "SERVFAIL", 3: "no such name", 5: "refused"}.get(flags & 15, "error %d" % (flags & 15)))
    found, ttl = [], 3600
    for _ in range(count):
        end = skip_name(data, end)
        kind, _, life, size = struct.unpack("!HHIH", data[end:end + 10])
        end += 10 + size
        if end > len(data):
            raise Fault("the answer is cut off")
        ttl = min(ttl, life)
        if kind == 1 and size == 4 and usable(data[end - 4:end]):
            found.append(socket.inet_ntoa(data[end - 4:end]))
    if not found:
        raise Fault("no usable address in the answer")
    return found, ttl


def usable(packed):
    # What cannot be a database's address: loopback, multicast, link-local (the clouds' metadata), reserved, and our own.
    address = ipaddress.IPv4Address(packed)
    if address.is_loopback or address.is_multicast or address.is_link_local or packed[0] in (0, *range(240, 256)):
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect((str(address), 9))
        except OSError:
            return True
        return sock.getsockname()[0] != str(address)


def lookup(name, servers):
    if not servers:
        with open("/etc/resolv.conf") as lines:
            servers = [words[1] for words in map(str.split, lines) if words[:1] == ["nameserver"] and words[1:]]
    error = Fault("no resolver in /etc/resolv.conf")
    for server in servers[:3]:
        try:
            return ask(server, name)
        except (OSError, Fault, IndexError, struct.error) as fault:
            error = Fault("resolver %s: %s" % (server, str(fault) or "bad answer"))
    raise error


# ---- The kernel: nft for the rules, netlink for connections (the images have no `conntrack`).


def nft(*words, text=None, patience=20):
    done = subprocess.run(["nft", *words], input=text, capture_output=True, text=True, timeout=patience)
    if done.returncode:
        raise Fault("nft: " + done.stderr.strip()[:300])
    return done.stdout


def entry(listen, target):
    return "%d : %s . %d" % (listen, *target)


def changes(have, want):
    # One transaction: packets see the map before it or after it. A port is in the set exactly when it is in the map.
    out = []
    for listen in sorted(have.keys() | want.keys()):
        old, new = have.get(listen), want.get(listen)
        if old != new:
            if old:
                out.append("delete element %stargets { %d }" % (TABLE, listen))
            if new:
                out.append("add element %stargets { %s }" % (TABLE, entry(listen, new)))
            if not old or not new:
                out.append("%s element %sports { %d }" % ("add" if new else "delete", TABLE, listen))
    return "\n".join(out)


def targets(listing):
    block = re.search(r"map targets \{.*?\n\t\}", listing, re.S)
    found = re.findall(r"(\d+) : ([\d.]+) \. (\d+)", block[0] if block else "")
    return {int(listen): (address, int(port)) for listen, address, port in found}


def cut(listen, address, port):
    # Deletes the connections that were translated to an address. The next packet of each is then answered with a reset. Gives how many
    # were cut, and with which errors the kernel refused the others.
    def attributes(data):
        at = 0
        while at + 4 <= len(data):
            size, kind = struct.unpack("HH", data[at:at + 4])
            yield kind & 0x3FFF, data[at + 4:at + size]
            at += max(size + 3 & ~3, 4)

    def request(kind, flags, body=b""):
        sock.send(struct.pack("IHHIIBBH", 20 + len(body), 0x100 | kind, flags, 1, 0, socket.AF_INET, 0, 0) + body)

    def error(message):
        return -struct.unpack("i", message[16:20])[0]

    count, refused = 0, []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as sock:
        sock.settimeout(TIMEOUT)
        request(1, 0x301)
        doomed, done = [], False
        while not done:
            data = sock.recv(1 << 20)
            while data and not done:
                size, kind = struct.unpack("IH", data[:6])
                # 2: an error; 3: the end, which may be one, too.
                done = kind in (2, 3)
                if done and error(data):
                    raise Fault("connections cannot be listed: " + os.strerror(error(data)))
                tuples = {} if done else dict(attributes(data[20:size]))
                # 1 and 2: the tuples of both directions; in them 1: addresses (1 source), 2: ports (2 source, 3 destination).
                if 1 in tuples and 2 in tuples:
                    asked, reply = (dict(attributes(tuples[way])) for way in (1, 2))
                    ports, back = dict(attributes(asked[2])), dict(attributes(reply[2]))
                    source = dict(attributes(reply[1])).get(1)
                    want = (socket.inet_aton(address), struct.pack("!H", port), struct.pack("!H", listen))
                    if (source, back.get(2), ports.get(3)) == want and ports[1] == b"\6":
                        doomed.append(tuples[1])
                data = data[size + 3 & ~3:]
        for original in doomed:
            request(2, 5, struct.pack("HH", 4 + len(original), 0x8001) + original)
            answer = error(sock.recv(4096))
            count += not answer
            # One that is not there has ended by itself.
            refused += [answer] if answer not in (0, errno.ENOENT) else []
    return count, refused


# ---- A port map, and the address that it has now.


class Port:
    def __init__(self, config, saved):
        self.listen, self.port, self.engine = config["listen"], config["port"], config["engine"]
        self.name, self.health = config.get("name"), config["health"]
        self.address = config.get("address")
        # Addresses that connections may still be on: when they are cut. When each address was last seen in DNS.
        self.old, self.seen, self.absent, self.every, self.tried = {}, {}, 0, 10, 0
        self.dns, self.said, self.verdict, self.checked = None, {}, "not checked yet", time.monotonic()
        if self.name and (saved.get("name"), saved.get("port")) == (self.name, self.port):
            self.address, self.old = saved["address"], saved["old"]
            # What DNS gave before the restart is not known: each gets a whole drain time again.
            self.seen = dict.fromkeys(self.old, time.monotonic())

    def target(self):
        return (self.address, self.port) if self.address else None

    async def fault_of(self, address):
        try:
            await asyncio.to_thread(check, self.engine, address, self.port)
        except Exception as fault:
            return str(fault) or type(fault).__name__

    # The address to move to, or None to stay. A name that moved must say so twice, one TTL apart, unless the old address fails
    # already; and the new one must pass its check, unless neither does. Of the old one the last verdict says enough, if it is about it.
    async def choose(self, addresses):
        for address in addresses:
            self.seen[address] = time.monotonic()
        if self.address in addresses:
            self.absent = 0
            return None
        self.absent += 1
        failing = not self.address or (self.verdict or "").startswith(self.address + ":")
        if not failing and (self.absent < 2 or time.monotonic() < self.tried):
            return None
        self.tried = time.monotonic() + self.every
        for address in addresses:
            if not await self.fault_of(address):
                return address
        return addresses[0] if failing and (self.absent > 1 or not self.address) else None


class Agent:
    def __init__(self, config):
        self.drain, self.every, self.resolvers = config["drain"], config["every"], config.get("resolvers")
        try:
            with open(STATE) as file:
                saved = json.load(file)
        except (OSError, ValueError):
            saved = {}
        self.ports = [Port(port, saved.get(str(port["listen"]), {})) for port in config["ports"]]
        for port in self.ports:
            port.every = self.every
        self.fault, self.inspected, self.counted, self.lost = "not inspected yet", time.monotonic(), None, 0
        self.slow = False
        self.lock = asyncio.Lock()

    def save(self):
        state = {p.listen: {"name": p.name, "port": p.port, "address": p.address, "old": p.old} for p in self.ports if p.name}
        with open(STATE + ".new", "w") as file:
            json.dump(state, file)
        os.replace(STATE + ".new", STATE)

    def wanted(self):
        return {port.listen: port.target() for port in self.ports if port.address}

    # The whole table in one transaction, with the addresses that names have, and with a flow table where the kernel takes one. Where that
    # was taken out and does not come back, it is known that it is missing.
    def load(self, fast=True):
        self.slow |= not fast
        with open(ETC + "rules.nft") as file:
            rules = file.read()
        text = rules + changes(self.fixed(), self.wanted()) + "\n"
        devices = ", ".join('"%s"' % name for _, name in socket.if_nameindex() if name != "lo")
        try:
            # The first time the kernel reads its modules from the disk, while all else starts.
            nft("-f", "-", text=text.replace("#fast", "" if fast else "#").replace("DEVICES", devices), patience=80)
        except Fault as fault:
            nft("-f", "-", text=text)
            log("no flow table here, forwarding without it: %s" % str(fault).split("\n")[0])
        self.slow = not fast

    def fixed(self):
        return {port.listen: port.target() for port in self.ports if not port.name}

    async def move(self, port, address):
        async with self.lock:
            before = port.address
            text = changes({port.listen: port.target()}, {port.listen: (address, port.port)})
            # First the kernel: where it refuses, nothing is changed here either.
            await asyncio.to_thread(nft, "-f", "-", text=text)
            port.address, port.absent = address, 0
            if before:
                port.old[before] = time.monotonic() + self.drain
            port.old.pop(address, None)
            self.save()
        log("port %d: %s is now %s, it was %s" % (port.listen, port.name, address, before))

    async def follow(self, port):
        while True:
            pause, before = 2, port.address
            try:
                addresses, ttl = await asyncio.to_thread(lookup, port.name, self.resolvers)
                port.dns = None
                pause = min(max(ttl, 1), 30)
                address = await port.choose(addresses)
                if address:
                    await self.move(port, address)
            except Exception as fault:
                text = str(fault) or type(fault).__name__
                if port.dns != text:
                    what = "nothing is changed" if port.address == before else "it is changed, and not saved"
                    log("port %d: %s: %s; %s" % (port.listen, port.name, text, what))
                port.dns = text
            await asyncio.sleep(pause)

    # Cuts what is left on an address. A kernel without "netfilter: ctnetlink: Support offloaded conntrack entry deletion" (Linux 6.4, and
    # its predecessors since June 2023) keeps what is in a flow table: for it the rules do without one for some seconds.
    def end(self, *what):
        count, refused = cut(*what)
        if errno.EBUSY in refused:
            try:
                self.load(fast=False)
                for _ in range(5):
                    time.sleep(1)
                    more, refused = cut(*what)
                    count += more
                    if errno.EBUSY not in refused:
                        break
            finally:
                self.load()
        return count, refused

    # An address that DNS still gives now and then is one of several: its connections are not cut. One is forgotten when all of them are;
    # what fails is done again in a while, by an agent that was started again, too.
    async def retire(self):
        while True:
            await asyncio.sleep(1)
            for port in self.ports:
                for address in list(port.old):
                    # With the lock: who moves back to it while its connections are cut would lose new ones.
                    async with self.lock:
                        drained = max(port.old.get(address, float("inf")), port.seen.get(address, 0) + self.drain)
                        if time.monotonic() < drained:
                            continue
                        pause = self.every
                        try:
                            count, refused = await asyncio.to_thread(self.end, port.listen, address, port.port)
                            # What somebody else's flow table holds stays busy: not every few seconds are the rules loaded for it.
                            pause = max(pause, self.drain) if errno.EBUSY in refused else pause
                            text = "%d connections cut" % count
                            if refused:
                                text += ", %d refused by the kernel: %s" % (len(refused), os.strerror(refused[0]))
                            again = bool(refused)
                        except Exception as fault:
                            text, again = "its connections are not cut: %s" % (str(fault) or type(fault).__name__), True
                        if again:
                            text += "; tried again"
                            port.old[address] = time.monotonic() + pause
                        else:
                            del port.old[address]
                            port.said.pop(address, None)
                            try:
                                self.save()
                            except OSError as fault:
                                log("the state is not saved: %s" % fault)
                        # The same is said once of an address.
                        if text != port.said.get(address):
                            log("port %d: %s has drained, %s" % (port.listen, address, text))
                        if again:
                            port.said[address] = text

    # What is wrong on this machine itself. What can be mended is mended, and has failed once.
    def inspect(self):
        with open("/proc/sys/net/ipv4/ip_forward") as file:
            if file.read().strip() != "1":
                return "forwarding is off: run `sysctl -w net.ipv4.ip_forward=1`"
        try:
            listing = nft("list", "table", *TABLE.split())
        except Fault:
            listing = ""
        missing = not all(word in listing for word in VITAL)
        if missing or self.slow:
            self.load()
            return "the rules were %s; loaded again" % ("missing" if missing else "without a flow table")
        text = changes(targets(listing), self.wanted())
        if text:
            nft("-f", "-", text=text)
            return "the map was not as it should be; mended"
        came, left = map(int, re.findall(r"counter (?:came|left) \{\s*packets (\d+)", listing))
        past, self.counted = self.counted, (came, left)
        if past and left > past[1]:
            self.lost = 0
        elif past and came > past[0]:
            self.lost = time.monotonic()
        if self.lost and time.monotonic() < self.lost + 60:
            return "connections come in and none leave: let another firewall accept connection mark 0x8000000, or mend the route"

    async def watch(self):
        while True:
            try:
                async with self.lock:
                    fault = await asyncio.to_thread(self.inspect)
            except Exception as error:
                fault = str(error) or type(error).__name__
            if fault != self.fault:
                log("machine: %s" % (fault or "ok"))
            self.fault, self.inspected = fault, time.monotonic()
            notify("WATCHDOG=1")
            await asyncio.sleep(self.every)

    async def examine(self, port):
        while True:
            verdict = "the name has no address yet: " + (port.dns or "not asked yet")
            if port.address:
                verdict = await port.fault_of(port.address)
                verdict = verdict and "%s:%d: %s" % (*port.target(), verdict)
            if verdict != port.verdict:
                log("port %d: %s" % (port.listen, verdict or "ok"))
            port.verdict, port.checked = verdict, time.monotonic()
            await asyncio.sleep(self.every if port.address else 1)

    def health(self, port):
        oldest = time.monotonic() - 3 * self.every - TIMEOUT * 2
        if min(self.inspected, port.checked) < oldest:
            return "the agent is stuck"
        return self.fault or port.verdict

    async def answer(self, port, reader, writer):
        try:
            asked = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), TIMEOUT)
            # Where a load balancer has one check for all its ports: healthy if all are.
            ports = self.ports if asked.split(b" ")[1:2] == [b"/all"] else [port]
            fault = "; ".join(sorted({fault for fault in map(self.health, ports) if fault}))
            body = ("%s\n" % (fault or "ok")).encode("ascii", "replace")
            head = "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
            writer.write((head % ("503 Service Unavailable" if fault else "200 OK", len(body))).encode() + body)
            await writer.drain()
        except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def run(self):
        # A thread for whatever may wait at once: a dead database must not hold up the others' checks.
        workers = concurrent.futures.ThreadPoolExecutor(4 + 2 * len(self.ports))
        asyncio.get_running_loop().set_default_executor(workers)
        tasks = [self.watch(), self.retire()]
        for port in self.ports:
            await asyncio.start_server(lambda r, w, port=port: self.answer(port, r, w), "0.0.0.0", port.health)
            tasks += [self.examine(port)] + ([self.follow(port)] if port.name else [])
        notify("READY=1")
        # If one of them ends, all do: systemd starts the agent again.
        await asyncio.gather(*tasks)


def notify(text):
    path = os.environ.get("NOTIFY_SOCKET")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(text.encode(), "\0" + path[1:] if path[0] == "@" else path)


async def main(words):
    if words[:1] == ["check"] and len(words) == 4:
        check(words[1], words[2], int(words[3]))
    elif words in (["load"], ["run"]):
        with open(ETC + "config.json") as file:
            agent = Agent(json.load(file))
        agent.load()
        if words == ["run"]:
            await agent.run()
    else:
        raise Fault("say load, run, or check ENGINE ADDRESS PORT")


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1:]))
    except (OSError, Fault) as error:
        sys.exit("privnet-forwarder: %s" % error)
