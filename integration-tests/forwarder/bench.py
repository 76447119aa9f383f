#!/usr/bin/env python3
"""Measures a forwarder against the direct path, plain routing and haproxy, in network namespaces on this machine.

Five paths from the same client to the same server, taken in turns so that a busy machine is busy for all of them:

    direct     one cable from the client to the server
    routed     over the machine in between, which only routes
    forwarder  over the machine in between, with the rendered rules
    plain      the same, but for the flow table: these connections are left out of it
    haproxy    over the machine in between, which runs haproxy in TCP mode

All machines share this one's processors: what a path costs the machine in between, the client and the server lack. Needs root and the
packages of setup.sh. `bench.py [ROUNDS] [throughput] [rate] [latency]`; all three unless told. The result is a table and, on the last line, JSON.
PRIVNET_PROGRAMS names a folder of built programs, as for the tests.
"""
import json
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLIENT, MIDDLE, SERVER = (f"pnb-{os.getpid()}-{name}" for name in ("client", "middle", "server"))
PATHS = {
    "direct": ("10.78.9.2", 7000),
    "routed": ("10.78.2.2", 7000),
    "forwarder": ("10.78.1.1", 7001),
    "plain": ("10.78.1.1", 7003),
    "haproxy": ("10.78.1.1", 7002),
}
TITLES = {"throughput": "throughput", "rate": "connections", "latency": "round trip"}
LOAD = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location('agent', sys.argv[1] + '/agent.py')
agent = importlib.util.module_from_spec(spec)
spec.loader.exec_module(agent)
agent.ETC, agent.STATE = sys.argv[1] + '/', sys.argv[1] + '/state.json'
agent.Agent(json.load(open(agent.ETC + 'config.json'))).load()
"""


def run(*words, **more):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **more)
    if done.returncode:
        sys.exit(f"bench: {' '.join(map(str, words))}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def inside(namespace, *words):
    return ["ip", "netns", "exec", namespace, *map(str, words)]


def cable(here, our_name, our_address, there, their_name, their_address):
    run("ip", "-n", here, "link", "add", our_name, "type", "veth", "peer", "name", their_name, "netns", there)
    for namespace, name, address in ((here, our_name, our_address), (there, their_name, their_address)):
        run("ip", "-n", namespace, "addr", "add", address + "/24", "dev", name)
        run("ip", "-n", namespace, "link", "set", name, "up")


def build():
    for namespace in (CLIENT, MIDDLE, SERVER):
        run("ip", "netns", "add", namespace)
        run("ip", "-n", namespace, "link", "set", "lo", "up")
    cable(CLIENT, "near", "10.78.1.2", MIDDLE, "client", "10.78.1.1")
    cable(MIDDLE, "server", "10.78.2.1", SERVER, "near", "10.78.2.2")
    cable(CLIENT, "direct", "10.78.9.1", SERVER, "direct", "10.78.9.2")
    run("ip", "-n", CLIENT, "route", "add", "10.78.2.0/24", "via", "10.78.1.1")
    run("ip", "-n", SERVER, "route", "add", "10.78.1.0/24", "via", "10.78.2.1")
    run(*inside(MIDDLE, "sysctl", "-qw", "net.ipv4.ip_forward=1"))


def haproxy(folder):
    path = folder / "haproxy.cfg"
    # The best that it offers for TCP: a thread for each processor, and splicing in the kernel.
    path.write_text(
        f"global\n maxconn 4000\n nbthread {os.cpu_count()}\n"
        "defaults\n mode tcp\n option splice-auto\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n"
        "listen db\n bind 10.78.1.1:7002\n server db 10.78.2.2:7000\n"
    )
    return subprocess.Popen(inside(MIDDLE, "haproxy", "-db", "-q", "-f", path))


def programs():
    if "PRIVNET_PROGRAMS" in os.environ:
        return pathlib.Path(os.environ["PRIVNET_PROGRAMS"]) / "examples"
    for name in ("traffic", "render"):
        run("cargo", "build", "-q", "-p", "privnet-forwarder", "--example", name, cwd=ROOT)
    target = json.loads(run("cargo", "metadata", "--format-version=1", "--no-deps", cwd=ROOT))["target_directory"]
    return pathlib.Path(target) / "debug" / "examples"


def main():
    # Whoever ends this ends it in an orderly way, namespaces included.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: ended"))
    numbers = [word for word in sys.argv[1:] if word.isdigit()]
    strange = [word for word in sys.argv[1:] if not word.isdigit() and word not in TITLES]
    if strange or len(numbers) > 1 or numbers == ["0"]:
        sys.exit(f"bench: say how many rounds, and any of {', '.join(TITLES)}; not: {' '.join(sys.argv[1:])}")
    rounds = int(numbers[0]) if numbers else 20
    asked = [what for what in TITLES if what in sys.argv[1:]] or list(TITLES)
    traffic, render = (programs() / name for name in ("traffic", "render"))
    running = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        try:
            build()
            # Shared: the routed path of this benchmark goes through the same machine.
            words = ["shared", "7001=10.78.2.2:7000/other", "7003=10.78.2.2:7000/other"]
            for part, file in (("ruleset", "rules.nft"), ("agent", "agent.py"), ("config", "config.json")):
                text = run(render, part, *words)
                if part == "ruleset":
                    text, found = re.subn("flow add @fast", "meta l4proto tcp ct original proto-dst != 7003 flow add @fast", text)
                    if not found:
                        sys.exit("bench: the rendered rules have no flow table")
                (folder / file).write_text(text)
            said = run(*inside(MIDDLE, "python3", "-c", LOAD, folder))
            server = subprocess.Popen(inside(SERVER, traffic, "serve", 7000), stdout=subprocess.PIPE, text=True)
            running.append(server)
            server.stdout.readline()
            running.append(haproxy(folder))
            time.sleep(1)
            sys.stdout.write(said)
            report(measure(traffic, rounds, asked), "no flow table" not in said)
        finally:
            for process in running:
                process.kill()
                process.wait()
            for namespace in (CLIENT, MIDDLE, SERVER):
                subprocess.run(["ip", "netns", "del", namespace], capture_output=True)


def measure(traffic, rounds, asked):
    found = {what: {path: [] for path in PATHS} for what in asked}
    for index in range(rounds):
        for what, paths in found.items():
            # Another path is first in each round.
            names = list(paths)
            for path in names[index % len(names):] + names[:index % len(names)]:
                address, port = PATHS[path]
                paths[path].append(float(run(*inside(CLIENT, traffic, what, address, port))))
    return found


def report(found, offloaded):
    """Ratios are taken within a round, then their median: what else runs here disturbs a round, not one path."""

    def compare(what, path, other, how=lambda mine, theirs: mine / theirs):
        return statistics.median(how(*pair) for pair in zip(found[what][path], found[what][other]))

    print(f"flow offload: {'on' if offloaded else 'off'}; load: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    print(f"{'':10}" + "".join(f"{TITLES[what]:>22}" for what in found))
    result = {"flow_offload": offloaded}
    for path in PATHS:
        middle = {what: statistics.median(found[what][path]) for what in found}
        line, mine = f"{path:10}", result.setdefault(path, {})
        if "throughput" in found:
            many = compare("throughput", path, "direct")
            mine["throughput"] = round(many, 3)
            line += f"{middle['throughput'] * 8e-9:9.1f} Gb/s = {many:4.2f} x"
        if "rate" in found:
            often = compare("rate", path, "direct")
            mine["connections"] = round(often, 3)
            line += f"{middle['rate']:11.0f} /s = {often:4.2f} x"
        if "latency" in found:
            longer = compare("latency", path, "direct")
            added = compare("latency", path, "direct", lambda mine, theirs: mine - theirs)
            mine["latency"], mine["added_latency_us"] = round(longer, 3), round(added, 1)
            line += f"{middle['latency']:8.1f} us = {longer:4.2f} x {added:+5.1f}"
        print(line)
    for what in found:
        for other in ("routed", "plain", "haproxy"):
            result[f"forwarder_to_{other}_{TITLES[what].replace(' ', '_')}"] = round(compare(what, "forwarder", other), 3)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
