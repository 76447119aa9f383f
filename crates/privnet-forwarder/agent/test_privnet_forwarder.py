# Unit tests of the agent: `python3 -m unittest` in this folder. Peers are small servers in threads, on loopback.
import asyncio
import errno
import http.client
import importlib.util
import io
import json
import os
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest
from unittest import mock

spec = importlib.util.spec_from_file_location("agent", os.path.join(os.path.dirname(__file__), "privnet_forwarder.py"))
agent = importlib.util.module_from_spec(spec)
spec.loader.exec_module(agent)
agent.log = lambda text: None


class Peer:
    # Serves one client by `talk(sock)`, on a port of its own; `error` is what its side found wrong.
    def __init__(self, talk):
        self.error = None
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]

        def serve():
            client, _ = self.server.accept()
            with client:
                client.settimeout(5)
                try:
                    talk(client)
                except Exception as error:
                    self.error = error

        self.thread = threading.Thread(target=serve)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.thread.join(10)
        self.server.close()

    def check(self, engine):
        agent.check(engine, "127.0.0.1", self.port)


def mysql(sock, number, body):
    sock.sendall(struct.pack("<I", len(body) | number << 24) + body)


GREETING = b"\x0a8.0.36\0" + struct.pack("<I", 7) + b"12345678\0" + bytes(30) + b"mysql_native_password\0"


class Checks(unittest.TestCase):
    def passes(self, engine, talk):
        with Peer(talk) as peer:
            peer.check(engine)
        self.assertIsNone(peer.error)

    def fails(self, engine, talk, words):
        with Peer(talk) as peer:
            with self.assertRaisesRegex((agent.Fault, OSError), words):
                peer.check(engine)

    def test_postgres_without_tls(self):
        def talk(sock):
            self.assertEqual(agent.exact(sock, 8), bytes((0, 0, 0, 8, 4, 210, 22, 47)))
            sock.sendall(b"N")
            self.assertEqual(sock.recv(1), b"", "the client leaves in an orderly way")

        self.passes("postgres", talk)

    def test_postgres_that_is_something_else(self):
        self.fails("postgres", lambda sock: sock.sendall(b"HTTP/1.1 400"), "does not speak PostgreSQL")
        self.fails("postgres", lambda sock: sock.recv(8), "closed")

    def test_mysql_refuses_the_account_after_a_whole_handshake(self):
        def talk(sock):
            mysql(sock, 0, GREETING)
            number, body = agent.mysql_packet(sock)
            self.assertEqual(number, 1)
            self.assertEqual(body[32:47], b"privnet_health\0")
            self.assertTrue(struct.unpack("<I", body[:4])[0] & 0x200, "protocol 4.1")
            mysql(sock, 2, b"\xff" + struct.pack("<H", 1045) + b"#28000Access denied")
            self.assertEqual(sock.recv(1), b"")

        self.passes("mysql", talk)

    def test_mysql_asks_for_another_method(self):
        def talk(sock):
            mysql(sock, 0, GREETING)
            agent.mysql_packet(sock)
            mysql(sock, 2, b"\xfecaching_sha2_password\0" + bytes(20))
            self.assertEqual(agent.mysql_packet(sock), (3, b"\0"))
            mysql(sock, 4, b"\xfemysql_native_password\0" + bytes(20))
            self.assertEqual(agent.mysql_packet(sock), (5, b""))
            mysql(sock, 6, b"\0\0\0\2\0\0\0")
            self.assertEqual(agent.mysql_packet(sock), (0, b"\1"), "it quits in an orderly way")

        self.passes("mysql", talk)

    def test_mysql_that_lets_nobody_in(self):
        def blocked(sock):
            mysql(sock, 0, b"\xff" + struct.pack("<H", 1129) + b"Host is blocked")

        def full(sock):
            mysql(sock, 0, GREETING)
            agent.mysql_packet(sock)
            mysql(sock, 2, b"\xff" + struct.pack("<H", 1040) + b"#08004Too many connections")

        self.fails("mysql", blocked, "1129 Host is blocked")
        self.fails("mysql", full, "1040")
        self.fails("mysql", lambda sock: mysql(sock, 0, b"SSH-2.0"), "does not speak MySQL")

    def test_sqlserver(self):
        def talk(sock):
            kind, status, size, rest = struct.unpack("!BBHI", agent.exact(sock, 8))
            self.assertEqual((kind, status, rest), (18, 1, 0))
            body = agent.exact(sock, size - 8)
            at, options = 0, {}
            while body[at] != 255:
                token, offset, length = struct.unpack("!BHH", body[at:at + 5])
                options[token] = body[offset:offset + length]
                at += 5
            self.assertEqual(options, {0: bytes(6), 1: b"\0"})
            answer = b"\0\0\x0b\0\6\1\0\x11\0\1\xff" + b"\x0f\0\x10\x73\0\0\1"
            sock.sendall(struct.pack("!BBHI", 4, 1, 8 + len(answer), 0) + answer)

        self.passes("sqlserver", talk)
        self.fails("sqlserver", lambda sock: sock.sendall(b"\4\1\0\x0c\0\0\0\0\xaa\0\0\0"), "does not speak TDS")

    def test_oracle(self):
        def talk(sock):
            size, checksum, kind, flags, _ = struct.unpack("!HHBBH", agent.exact(sock, 8))
            self.assertEqual((checksum, kind, flags), (0, 1, 0))
            body = agent.exact(sock, size - 8)
            length, offset = struct.unpack("!HH", body[16:20])
            self.assertEqual(body[offset - 8:], b"(CONNECT_DATA=(COMMAND=ping))")
            self.assertEqual(length, len(body) - offset + 8)
            text = b"(DESCRIPTION=(TMP=)(VSNNUM=318767104)(ERR=0)(ALIAS=LISTENER))"
            refuse = b"\4\0" + struct.pack("!H", len(text)) + text
            sock.sendall(struct.pack("!HHBBH", 8 + len(refuse), 0, 4, 0, 0) + refuse)

        self.passes("oracle", talk)
        self.passes("oracle", lambda sock: (sock.recv(99), sock.sendall(b"\0\x08\0\0\x0b\0\0\0")))
        self.fails("oracle", lambda sock: sock.sendall(b"-ERR not TNS"), "does not speak TNS")

    def test_other(self):
        self.passes("other", lambda sock: self.assertEqual(sock.recv(1), b""))

    def test_a_server_that_says_nothing(self):
        with mock.patch.object(agent, "TIMEOUT", 0.2):
            self.fails("postgres", lambda sock: time.sleep(0.5), "timed out")


class Dns(unittest.TestCase):
    # A server on one port, by UDP and TCP.
    def setUp(self):
        self.udp = self.tcp = None
        while not self.tcp:
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.udp.bind(("127.0.0.1", 0))
            try:
                self.tcp = socket.create_server(self.udp.getsockname())
            except OSError:
                # Somebody else has that port by TCP.
                self.udp.close()
        self.addCleanup(self.udp.close)
        self.addCleanup(self.tcp.close)
        patch = mock.patch.object(agent, "DNS_PORT", self.udp.getsockname()[1])
        patch.start()
        self.addCleanup(patch.stop)

    def ask(self, answer, stream=None):
        def serve():
            query, peer = self.udp.recvfrom(999)
            self.udp.sendto(answer(query), peer)
            if stream:
                client, _ = self.tcp.accept()
                with client:
                    query = agent.exact(client, struct.unpack("!H", agent.exact(client, 2))[0])
                    reply = stream(query)
                    client.sendall(struct.pack("!H", len(reply)) + reply)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            return agent.ask("127.0.0.1", "db.corp.example")
        finally:
            thread.join(5)

    @staticmethod
    def message(query, records=(), flags=0x8180, names=b"\xc0\x0c"):
        body = b"".join(names + struct.pack("!HHIH", kind, 1, ttl, len(data)) + data for kind, ttl, data in records)
        return query[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0) + query[12:] + body

    def a(self, address, ttl=60):
        return 1, ttl, socket.inet_aton(address)

    def test_addresses_and_the_shortest_life(self):
        alias = (5, 5, b"\x01x\xc0\x14")
        found = self.ask(lambda query: self.message(query, [alias, self.a("10.0.0.1"), self.a("10.0.0.2", 30)]))
        self.assertEqual(found, (["10.0.0.1", "10.0.0.2"], 5))

    def test_names_that_are_written_out(self):
        name = b"\x02db\x04corp\x07example\0"
        found = self.ask(lambda query: self.message(query, [self.a("10.0.0.1")], names=name))
        self.assertEqual(found, (["10.0.0.1"], 60))

    def test_the_question(self):
        def answer(query):
            self.assertEqual(query[2:], b"\1\0\0\1\0\0\0\0\0\0\x02db\x04corp\x07example\0\0\1\0\1")
            return self.message(query, [self.a("10.0.0.1")])

        self.ask(answer)

    def test_failures_are_told_apart(self):
        for flags, words in ((0x8182, "SERVFAIL"), (0x8183, "no such name"), (0x8185, "refused"), (0x8184, "error 4")):
            with self.assertRaisesRegex(agent.Fault, words):
                self.ask(lambda query: self.message(query, flags=flags))
        with self.assertRaisesRegex(agent.Fault, "no usable address"):
            self.ask(self.message)

    def test_addresses_that_cannot_be_a_databases(self):
        bad = ["127.0.0.1", "0.0.0.0", "224.0.0.1", "169.254.169.254", "255.255.255.255"]
        with self.assertRaisesRegex(agent.Fault, "no usable address"):
            self.ask(lambda query: self.message(query, [self.a(address) for address in bad]))

    def test_an_answer_to_another_question(self):
        for spoil in (lambda q: b"\0\0" if q[:2] != b"\0\0" else b"\1\1", None):
            with self.assertRaisesRegex(agent.Fault, "another question"):
                if spoil:
                    self.ask(lambda q: spoil(q) + self.message(q, [self.a("10.0.0.1")])[2:])
                else:
                    self.ask(lambda q: self.message(q[:12] + b"\x02no" + q[15:], [self.a("10.0.0.1")]))

    def test_a_truncated_answer_is_asked_again_by_tcp(self):
        many = [self.a("10.0.0.%d" % n) for n in range(1, 100)]
        found, _ = self.ask(lambda q: self.message(q, flags=0x8380), stream=lambda q: self.message(q, many))
        self.assertEqual(len(found), 99)

    def test_rubbish_is_a_fault(self):
        for cut in (0, 11, 40, 47):
            thread = threading.Thread(target=lambda: self.serve_cut(cut))
            thread.start()
            with self.assertRaises(agent.Fault):
                agent.lookup("db.corp.example", ["127.0.0.1"])
            thread.join(5)

    def test_the_next_server_is_asked_when_one_fails(self):
        asked = []

        def ask(server, name):
            asked.append(server)
            if server != "10.0.0.3":
                raise agent.Fault("SERVFAIL")
            return ["10.0.0.9"], 60

        with mock.patch.object(agent, "ask", ask):
            self.assertEqual(agent.lookup("x.y", ["10.0.0.2", "10.0.0.3"]), (["10.0.0.9"], 60))
            with self.assertRaisesRegex(agent.Fault, "resolver 10.0.0.4: SERVFAIL"):
                agent.lookup("x.y", ["10.0.0.2", "10.0.0.4"])
        self.assertEqual(asked, ["10.0.0.2", "10.0.0.3", "10.0.0.2", "10.0.0.4"])

    def serve_cut(self, cut):
        query, peer = self.udp.recvfrom(999)
        self.udp.sendto(self.message(query, [self.a("10.0.0.1")])[:cut], peer)


def port(**saved):
    config = {"listen": 5432, "name": "db.corp.example", "port": 5432, "engine": "other", "health": 25432}
    return agent.Port(config, {"name": "db.corp.example", "port": 5432, "address": None, "old": {}, **saved})


class Moves(unittest.TestCase):
    # `up` is the set of addresses whose check passes.
    def choose(self, subject, answers, up):
        async def fault_of(address):
            self.checked.append(address)
            return None if address in up else "down"

        subject.fault_of, self.checked = fault_of, []
        subject.verdict = None if subject.address in up else "%s:5432: down" % subject.address
        return [asyncio.run(subject.choose(answer)) for answer in answers]

    def test_the_first_address_is_taken_healthy_or_not(self):
        self.assertEqual(self.choose(port(), [["a", "b"]], {"b"}), ["b"])
        self.assertEqual(self.choose(port(), [["a", "b"]], set()), ["a"])

    def test_a_move_needs_two_samples(self):
        self.assertEqual(self.choose(port(address="a"), [["b"], ["b"]], {"a", "b"}), [None, "b"])

    def test_an_address_that_comes_back_starts_anew(self):
        self.assertEqual(self.choose(port(address="a"), [["b"], ["a"], ["b"]], {"a", "b"}), [None, None, None])

    def test_a_dead_address_is_left_at_once(self):
        self.assertEqual(self.choose(port(address="a"), [["b"]], {"b"}), ["b"])

    def test_an_address_that_is_still_given_is_kept(self):
        self.assertEqual(self.choose(port(address="a"), [["b", "a"]] * 3, {"b"}), [None] * 3)

    def test_a_healthy_address_is_not_left_for_a_dead_one(self):
        self.assertEqual(self.choose(port(address="a"), [["b"]] * 4, {"a"}), [None] * 4)

    def test_answers_make_no_checks_of_a_healthy_address_and_few_of_a_dead_one(self):
        subject = port(address="a")
        self.choose(subject, [["b"]] * 9, {"a"})
        self.assertEqual(self.checked, ["b"])
        subject.tried = 0
        self.assertEqual(self.choose(subject, [["b"]], {"a", "b"}), ["b"])

    def test_a_verdict_about_another_address_says_nothing_of_this_one(self):
        subject = port(address="a")
        self.choose(subject, [["b"]], {"b"})
        subject.address, subject.absent, subject.verdict = "b", 0, "a:5432: down"
        self.assertEqual(asyncio.run(subject.choose(["a"])), None)

    def test_when_neither_is_healthy_dns_decides(self):
        self.assertEqual(self.choose(port(address="a"), [["b"], ["b"]], set()), [None, "b"])

    def test_saved_addresses_are_for_the_same_name_and_port_only(self):
        self.assertEqual(port(address="a").address, "a")
        self.assertIsNone(port(address="a", name="other.corp.example").address)
        self.assertIsNone(port(address="a", port=1).address)


class Map(unittest.TestCase):
    LISTING = (
        "table ip privnet_forwarder {\n\tcounter came {\n\t\tpackets %d bytes 9\n\t}\n\n\tcounter left {\n\t\tpackets %d bytes 9\n\t}\n\n"
        "\tmap targets {\n\t\ttype inet_service : ipv4_addr . inet_service\n\t\telements = { 3306 : 10.0.0.9 . 3306,\n"
        "\t\t\t     5432 : 10.0.0.1 . 5432 }\n\t}\n\tchain prerouting {\n\t\ttype nat hook prerouting\n\t\tdnat ip to\n\t}\n"
        "\tchain postrouting {\n\t\thook postrouting masquerade\n\t}\n\tchain forward {\n\t\thook forward\n\t}\n}\n"
    )

    def test_the_map_is_read(self):
        self.assertEqual(agent.targets(self.LISTING), {3306: ("10.0.0.9", 3306), 5432: ("10.0.0.1", 5432)})
        self.assertEqual(agent.targets("table ip privnet_forwarder {\n}\n"), {})

    def test_only_what_differs_changes(self):
        have, want = {1: ("a", 1), 2: ("b", 2), 3: ("c", 3)}, {1: ("a", 1), 2: ("z", 2), 4: ("d", 4)}
        self.assertEqual(
            agent.changes(have, want).split("\n"),
            [
                "delete element ip privnet_forwarder targets { 2 }",
                "add element ip privnet_forwarder targets { 2 : z . 2 }",
                "delete element ip privnet_forwarder targets { 3 }",
                "delete element ip privnet_forwarder ports { 3 }",
                "add element ip privnet_forwarder targets { 4 : d . 4 }",
                "add element ip privnet_forwarder ports { 4 }",
            ],
        )
        self.assertEqual(agent.changes(want, want), "")

    def inspect(self, subject, came, left):
        with mock.patch.object(agent, "nft", lambda *_, **__: self.LISTING % (came, left)):
            with mock.patch("builtins.open", mock.mock_open(read_data="1\n")):
                return subject.inspect()

    def test_connections_that_come_and_do_not_leave(self):
        ports = [("10.0.0.9", 3306), ("10.0.0.1", 5432)]
        ports = [{"listen": p, "address": a, "port": p, "engine": "other", "health": p + 20000} for a, p in ports]
        subject = agent.Agent({"drain": 1, "every": 1, "ports": ports})
        self.assertIsNone(self.inspect(subject, 5, 0), "the first count is no proof")
        self.assertIsNone(self.inspect(subject, 5, 0))
        self.assertIn("connection mark", self.inspect(subject, 6, 0))
        self.assertIn("connection mark", self.inspect(subject, 6, 0), "silence is no cure")
        self.assertIsNone(self.inspect(subject, 7, 1))


class Netlink:
    # The kernel's end of a netlink socket: what it answers to each request, and what it was asked to delete.
    def __init__(self, *answers):
        self.answers, self.deleted = list(answers), []
        self.settimeout = lambda _: None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def send(self, request):
        if struct.unpack("H", request[4:6])[0] == 0x102:
            self.deleted.append(request[24:])

    def recv(self, _):
        return self.answers.pop(0)


def message(kind, body):
    return struct.pack("IHHII", 16 + len(body), kind, 0, 1, 0) + body


def attribute(kind, body):
    return struct.pack("HH", 4 + len(body), kind) + body + bytes(-len(body) % 4)


def connection(client):
    # One to port 5432 of this machine, translated to 10.0.0.1:5432, as ctnetlink tells of it.
    def way(source, source_port, to, to_port):
        addresses = attribute(1, socket.inet_aton(source)) + attribute(2, socket.inet_aton(to))
        ports = attribute(1, b"\6") + attribute(2, struct.pack("!H", source_port)) + attribute(3, struct.pack("!H", to_port))
        return attribute(0x8001, addresses) + attribute(0x8002, ports)

    asked, reply = way("10.9.9.9", client, "10.0.0.7", 5432), way("10.0.0.1", 5432, "10.0.0.7", client)
    return message(0x100, struct.pack("BBH", socket.AF_INET, 0, 0) + attribute(0x8001, asked) + attribute(0x8002, reply))


class Cutting(unittest.TestCase):
    def cut(self, *answers):
        self.kernel = Netlink(*answers)
        with mock.patch.object(agent.socket, "socket", lambda *_: self.kernel):
            return agent.cut(5432, "10.0.0.1", 5432)

    @staticmethod
    def answer(error=0, kind=2):
        return message(kind, struct.pack("i", -error))

    def test_what_is_cut_and_what_the_kernel_refuses_is_counted(self):
        listed = connection(1111) + connection(2222) + connection(3333)
        found = self.cut(listed, self.answer(kind=3), self.answer(), self.answer(errno.EBUSY), self.answer(errno.ENOENT))
        self.assertEqual(found, (1, [errno.EBUSY]), "one that has ended by itself is neither")
        self.assertEqual(len(self.kernel.deleted), 3)

    def test_a_list_that_fails_is_no_empty_one(self):
        for kind in (2, 3):
            with self.assertRaisesRegex(agent.Fault, "cannot be listed: Operation not permitted"):
                self.cut(self.answer(errno.EPERM, kind))
            # In the middle of it, too.
            with self.assertRaisesRegex(agent.Fault, "cannot be listed"):
                self.cut(connection(1111) + self.answer(errno.ENOMEM, kind))
        self.assertEqual(self.cut(self.answer(kind=3)), (0, []))


class Serving(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        patch = mock.patch.object(agent, "STATE", os.path.join(self.folder.name, "state.json"))
        patch.start()
        self.addCleanup(patch.stop)
        config = {"listen": 5432, "name": "db.corp.example", "port": 5432, "engine": "other", "health": 0}
        self.agent = agent.Agent({"drain": 1, "every": 10, "ports": [config]})
        self.agent.fault, self.agent.inspected = None, time.monotonic()
        self.port = self.agent.ports[0]
        self.port.verdict, self.port.checked = None, time.monotonic()

    async def get(self, path="/"):
        server = await asyncio.start_server(lambda r, w: self.agent.answer(self.port, r, w), "127.0.0.1", 0)

        def ask():
            client = http.client.HTTPConnection(*server.sockets[0].getsockname(), timeout=5)
            client.request("GET", path)
            response = client.getresponse()
            return response.status, response.read().decode()

        try:
            return await asyncio.to_thread(ask)
        finally:
            server.close()

    async def test_good_and_bad(self):
        self.assertEqual(await self.get(), (200, "ok\n"))
        self.port.verdict = "10.0.0.1:5432: timed out"
        self.assertEqual(await self.get(), (503, "10.0.0.1:5432: timed out\n"))
        self.agent.fault = "the rules were missing"
        self.assertEqual(await self.get(), (503, "the rules were missing\n"))

    async def test_one_check_for_all_ports(self):
        other = agent.Port({"listen": 3306, "port": 3306, "engine": "other", "health": 23306}, {})
        other.verdict, other.checked = "10.0.0.2:3306: timed out", time.monotonic()
        self.agent.ports.append(other)
        self.assertEqual(await self.get(), (200, "ok\n"))
        self.assertEqual(await self.get("/all"), (503, "10.0.0.2:3306: timed out\n"))
        self.port.verdict = "10.0.0.1:5432: refused"
        self.assertEqual(await self.get("/all"), (503, "10.0.0.1:5432: refused; 10.0.0.2:3306: timed out\n"))
        self.agent.fault = "the rules were missing"
        self.assertEqual(await self.get("/all"), (503, "the rules were missing\n"))
        self.agent.fault = self.port.verdict = other.verdict = None
        self.assertEqual(await self.get("/all"), (200, "ok\n"))

    async def test_before_the_first_check(self):
        self.assertEqual(agent.Port({"listen": 1, "port": 1, "engine": "other", "health": 2}, {}).verdict, "not checked yet")
        self.agent.fault = agent.Agent({"drain": 1, "every": 10, "ports": []}).fault
        self.assertEqual(await self.get(), (503, "not inspected yet\n"))

    async def test_an_old_verdict_is_none(self):
        self.port.checked -= 60
        self.assertEqual(await self.get(), (503, "the agent is stuck\n"))

    async def test_a_fault_of_unexpected_kind_fails_too(self):
        def broken():
            raise RuntimeError("unexpected")

        self.agent.inspect = broken
        task = asyncio.create_task(self.agent.watch())
        await asyncio.sleep(0.2)
        task.cancel()
        self.assertEqual(await self.get(), (503, "unexpected\n"))

    async def test_a_rotating_address_is_not_cut(self):
        self.agent.drain, cuts = 1, []
        with mock.patch.object(agent, "cut", lambda *what: cuts.append(what) or (1, [])):
            self.port.old = {"10.0.0.1": time.monotonic() + 1, "10.0.0.2": time.monotonic() + 1}
            task = asyncio.create_task(self.agent.retire())
            for _ in range(16):
                # The name gives the first one still, now and then; the second one never.
                self.port.seen["10.0.0.1"] = time.monotonic()
                await asyncio.sleep(0.2)
            task.cancel()
        self.assertEqual(cuts, [(5432, "10.0.0.2", 5432)])
        self.assertEqual(list(self.port.old), ["10.0.0.1"])

    async def test_nobody_moves_back_while_connections_are_cut(self):
        self.agent.drain, said = 0, []

        def cut(*what):
            said.append("cuts")
            time.sleep(0.3)
            said.append("has cut")
            return 1, []

        with mock.patch.object(agent, "cut", cut), mock.patch.object(agent, "nft", lambda *_, **__: said.append("moves")):
            self.port.address, self.port.old = "10.0.0.2", {"10.0.0.1": time.monotonic()}
            task = asyncio.create_task(self.agent.retire())
            while not said:
                await asyncio.sleep(0.01)
            await self.agent.move(self.port, "10.0.0.1")
            task.cancel()
        self.assertEqual(said, ["cuts", "has cut", "moves"])

    async def retired(self, outcomes, addresses=("10.0.0.1",)):
        # What is said while addresses drain whose connections are cut with these outcomes, and what is remembered before each.
        self.agent.drain, self.agent.every, self.port.old = 0, 0, dict.fromkeys(addresses, time.monotonic())
        self.agent.save()
        said, saved, over = [], [], asyncio.Event()

        def cut(*_):
            with open(agent.STATE) as file:
                saved.append(list(json.load(file)["5432"]["old"]))
            outcome = outcomes.pop(0)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        sleep = asyncio.sleep
        pauses = mock.patch.object(agent.asyncio, "sleep", lambda _: sleep(0.01) if outcomes else over.set() or sleep(9))
        with mock.patch.object(agent, "cut", cut), mock.patch.object(agent, "log", said.append), pauses:
            with mock.patch.object(agent.time, "sleep", lambda _: None):
                task = asyncio.create_task(self.agent.retire())
                await asyncio.wait({asyncio.create_task(over.wait()), task}, timeout=10, return_when=asyncio.FIRST_COMPLETED)
                self.assertFalse(task.done(), "the agent goes on")
                task.cancel()
        return said, saved

    async def test_an_address_is_remembered_until_its_connections_are_cut(self):
        said, saved = await self.retired([OSError(105, "No buffer space"), OSError(105, "No buffer space"), (0, [errno.EPERM]), (3, [])])
        start = "port 5432: 10.0.0.1 has drained, "
        self.assertEqual(
            said,
            [
                start + "its connections are not cut: [Errno 105] No buffer space; tried again",
                start + "0 connections cut, 1 refused by the kernel: Operation not permitted; tried again",
                start + "3 connections cut",
            ],
            "the same twice is said once",
        )
        self.assertEqual(saved, [["10.0.0.1"]] * 4)
        self.assertEqual(self.port.old, {})
        with open(agent.STATE) as file:
            self.assertEqual(json.load(file)["5432"]["old"], {})

    async def test_the_trouble_of_each_address_is_said(self):
        full, denied = OSError(105, "No buffer space"), (0, [errno.EPERM])
        said, _ = await self.retired([full, denied, full, denied, (1, []), (2, [])], ["10.0.0.1", "10.0.0.2"])
        self.assertEqual(
            [line.split(" has drained, ") for line in said],
            [
                ["port 5432: 10.0.0.1", "its connections are not cut: [Errno 105] No buffer space; tried again"],
                ["port 5432: 10.0.0.2", "0 connections cut, 1 refused by the kernel: Operation not permitted; tried again"],
                ["port 5432: 10.0.0.1", "1 connections cut"],
                ["port 5432: 10.0.0.2", "2 connections cut"],
            ],
        )
        # One that drains again later is said again.
        said, _ = await self.retired([full, (0, [])])
        self.assertEqual(len(said), 2)
        # The same trouble of two addresses is that of both.
        said, _ = await self.retired([full, full, (0, []), (0, [])], ["10.0.0.1", "10.0.0.2"])
        self.assertEqual([line.split()[2] for line in said], ["10.0.0.1", "10.0.0.2"] * 2)

    async def test_a_flow_table_that_did_not_come_back_is_loaded_at_the_next_look(self):
        answers, loaded = [], []

        def nft(*words, text=None, **_):
            if words[0] == "list":
                return Map.LISTING % (0, 0)
            loaded.append(text.startswith("#"))
            answer = answers.pop(0)
            if answer:
                raise answer
            return ""

        rules = lambda name: io.StringIO("1\n" if "ip_forward" in name else "#fast\tflowtable DEVICES\n")
        stuck = subprocess.TimeoutExpired("nft", 80)
        self.agent.wanted = lambda: agent.targets(Map.LISTING)
        with mock.patch("builtins.open", rules), mock.patch.object(agent, "nft", nft):
            answers += [None, stuck]
            busy = mock.Mock(return_value=(0, [errno.EBUSY]))
            with mock.patch.object(agent, "cut", busy), mock.patch.object(agent.time, "sleep", lambda _: None):
                with self.assertRaises(subprocess.TimeoutExpired):
                    self.agent.end(5432, "10.0.0.1", 5432)
            self.assertEqual(loaded, [True, False])
            # As long as it does not come back, it is missing.
            answers += [stuck]
            with self.assertRaises(subprocess.TimeoutExpired):
                self.agent.inspect()
            answers += [None]
            self.assertEqual(self.agent.inspect(), "the rules were without a flow table; loaded again")
            self.assertEqual(loaded, [True] + [False] * 3)
            self.assertIsNone(self.agent.inspect(), "once")

    async def test_what_a_flow_table_holds_is_cut_without_one(self):
        loads = []
        self.agent.load = lambda fast=True: loads.append(fast)
        busy = (1, [errno.EBUSY, errno.EBUSY])
        said, _ = await self.retired([busy, busy, (2, [])])
        self.assertEqual(loads, [False, True])
        self.assertEqual(said, ["port 5432: 10.0.0.1 has drained, 4 connections cut"])
        # Where that does not help either, the flow table comes back all the same.
        loads.clear()
        said, _ = await self.retired([busy] * 6 + [(0, [])])
        self.assertEqual(loads, [False, True])
        self.assertIn("6 connections cut, 2 refused by the kernel: Device or resource busy; tried again", said[0])

    async def test_rules_can_be_loaded_without_a_flow_table(self):
        loaded = []
        rules = mock.patch("builtins.open", mock.mock_open(read_data="#fast\tflowtable DEVICES\nrest\n"))
        with rules, mock.patch.object(agent, "nft", lambda *_, text, **__: loaded.append(text)):
            self.agent.load()
            self.agent.load(fast=False)
        self.assertRegex(loaded[0], "^\tflowtable .*\nrest\n")
        self.assertRegex(loaded[1], "^#\tflowtable .*\nrest\n")

    async def test_a_move_that_the_kernel_refuses_changes_nothing(self):
        self.port.address = "10.0.0.1"
        self.agent.save()
        with mock.patch.object(agent, "nft", mock.Mock(side_effect=agent.Fault("nft: no such table"))):
            with self.assertRaisesRegex(agent.Fault, "no such table"):
                await self.agent.move(self.port, "10.0.0.2")
        self.assertEqual((self.port.address, self.port.old), ("10.0.0.1", {}))
        self.assertEqual(self.agent.wanted(), {5432: ("10.0.0.1", 5432)}, "nor is it mended to the new one later")

    async def test_many_probes_make_one_check_in_ten_seconds(self):
        checks, pauses, turn = [], [], asyncio.Semaphore(0)
        self.port.address, soon = "10.0.0.1", asyncio.sleep

        async def pause(seconds):
            pauses.append(seconds)
            await turn.acquire()

        def check(*what):
            checks.append(what)
            if len(checks) > 1:
                raise agent.Fault("down")

        with mock.patch.object(agent, "check", check), mock.patch.object(agent.asyncio, "sleep", pause):
            task = asyncio.create_task(self.agent.examine(self.port))
            for verdict in [(200, "ok\n"), (503, "10.0.0.1:5432: down\n")]:
                rounds = len(pauses) + 1
                while len(pauses) < rounds:
                    await soon(0.01)
                self.assertEqual([await self.get() for _ in range(20)], [verdict] * 20)
                self.assertEqual((len(checks), pauses), (rounds, [10] * rounds))
                turn.release()
                if rounds == 2:
                    task.cancel()

    async def test_what_is_saved_is_taken_up_again(self):
        with mock.patch.object(agent, "nft", lambda *_, **__: ""):
            await self.agent.move(self.port, "10.0.0.1")
            await self.agent.move(self.port, "10.0.0.2")
        config = {"listen": 5432, "name": "db.corp.example", "port": 5432, "engine": "other", "health": 0}
        again = agent.Agent({"drain": 1, "every": 10, "ports": [config]}).ports[0]
        self.assertEqual((again.address, list(again.old)), ("10.0.0.2", ["10.0.0.1"]))


if __name__ == "__main__":
    unittest.main()
