"""Within the machine that boot.py boots: `guest.py lab` makes consumer and database, `guest.py look` looks and tells the console.

One network, 10.66.0.0/24, as behind a cloud's one network card: the machine is .2, the consumer .10, the database .20.
"""
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time

CONSUMER, DATABASE, SWITCH = "consumer", "database", "switch"
MACHINE = "10.66.0.2"
LARGE = 20_000_000
# Written when the last stage of cloud-init is over.
RESULT = pathlib.Path("/run/cloud-init/result.json")
REBOOTED = pathlib.Path("/var/lib/rebooted")


def run(*words, check=True, **more):
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, **more)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.stderr.strip()}")
    return done.stdout


def inside(namespace, *words):
    return ["ip", "netns", "exec", namespace, *map(str, words)]


def lab():
    for namespace in (CONSUMER, DATABASE, SWITCH):
        run("ip", "netns", "add", namespace)
        run("ip", "-n", namespace, "link", "set", "lo", "up")
    run("ip", "-n", SWITCH, "link", "add", "hub", "type", "bridge")
    run("ip", "-n", SWITCH, "link", "set", "hub", "up")
    for namespace, address in ((None, MACHINE), (CONSUMER, "10.66.0.10"), (DATABASE, "10.66.0.20")):
        here = ["ip", "-n", namespace] if namespace else ["ip"]
        name, port = ("lan", f"to-{namespace or 'machine'}")
        run(*here, "link", "add", name, "type", "veth", "peer", "name", port, "netns", SWITCH)
        run("ip", "-n", SWITCH, "link", "set", port, "master", "hub", "up")
        run(*here, "addr", "add", address + "/24", "dev", name)
        run(*here, "link", "set", name, "up")
    subprocess.Popen(inside(DATABASE, sys.executable, __file__, "database"), start_new_session=True)


def database():
    """PostgreSQL's answer to an SSLRequest on 5432; on 5433 as many bytes as a client wants to read."""

    def serve(port, talk):
        def one(client):
            with client:
                try:
                    talk(client)
                except OSError:
                    pass

        server = socket.create_server(("", port), backlog=64)
        while True:
            client, _ = server.accept()
            threading.Thread(target=one, args=(client,), daemon=True).start()

    def postgres(client):
        if client.recv(8):
            client.sendall(b"N")
            client.recv(1)

    def large(client):
        client.sendall(b"x" * LARGE)
        while client.recv(1):
            client.sendall(b"y")

    threading.Thread(target=serve, args=(5432, postgres), daemon=True).start()
    serve(5433, large)


def client():
    """A consumer that reads it all, and then keeps its session, talking, until its input ends."""
    with socket.create_connection((MACHINE, 5433), 20) as sock:
        got = 0
        while got < LARGE:
            got += len(sock.recv(1 << 16))
        print(got, flush=True)
        for _ in sys.stdin:
            sock.sendall(b"?")
            print(sock.recv(1).decode(), flush=True)


def tell(text):
    with open("/dev/console", "w") as console:
        console.write(f"\r\nSEEN {text}\r\n")


def until(holds, seconds=240):
    end = time.monotonic() + seconds
    while True:
        found = holds()
        if found or time.monotonic() > end:
            return found
        time.sleep(1)


def check(what, holds):
    try:
        found = holds()
    except Exception as error:  # What cannot be looked at is not seen.
        found, what = None, f"{what} ({error})"
    tell(f"{'' if found else 'not '}{what}{f': {found}' if isinstance(found, str) else ''}")


def health(port):
    url = f"http://{MACHINE}:{port}/"
    return run(*inside(CONSUMER, sys.executable, "-c", f"import urllib.request as u; print(u.urlopen('{url}', timeout=5).status)"), check=False).strip() == "200"


def flow_table():
    found = re.search(r"flowtable fast \{.*?devices = \{([^}]*)\}", run("nft", "list", "table", "ip", "privnet_forwarder"), re.S)
    return found and found.group(1).strip()


def offloaded():
    """A session of the consumer that the kernel's flow table carries, and that lives."""
    consumer = subprocess.Popen(inside(CONSUMER, sys.executable, __file__, "client"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        if consumer.stdout.readline().strip() != str(LARGE):
            return None
        consumer.stdin.write("\n")
        consumer.stdin.flush()
        answer = consumer.stdout.readline().strip()
        return answer == "y" and "OFFLOAD" in run("conntrack", "-L", "-p", "tcp", "--orig-port-dst", "5433")
    finally:
        consumer.kill()


def look():
    boot = "after a reboot" if REBOOTED.exists() else "on the first boot"
    release = dict(line.split("=", 1) for line in pathlib.Path("/etc/os-release").read_text().splitlines() if "=" in line)
    tell(f"{boot}: {release['PRETTY_NAME']}, {os.uname().release}, {sys.version.split()[0]}")
    check("cloud-init is done", lambda: until(RESULT.exists, 600))
    errors = json.loads(RESULT.read_text())["v1"]["errors"] if RESULT.exists() else ["there is no result"]
    tell(f"{'not ' if errors else ''}without an error {errors or ''}")
    for unit in ("privnet-forwarder-rules.service", "privnet-forwarder.service"):
        check(f"{unit} is active", lambda: run("systemctl", "is-active", unit, check=False).strip() == "active")
    check("addresses are forwarded", lambda: pathlib.Path("/proc/sys/net/ipv4/ip_forward").read_text().strip() == "1")
    check("the flow table has the network's devices", flow_table)
    for port in (25432, 25433):
        check(f"the health port {port} answers", lambda: until(lambda: health(port)))
    check("a consumer's session runs in the flow table, and lives", offloaded)
    failed = run("systemctl", "--failed", "--plain", "--no-legend").split("\n")
    tell(f"{'not ' if any(failed) else ''}no unit failed {[line.split()[0] for line in failed if line]}")
    for unit in (line.split()[0] for line in failed if line):
        for line in run("journalctl", "-b", "-u", unit, "-o", "cat", "--no-pager", check=False).splitlines()[-6:]:
            tell(f"{unit}: {line}")
    for line in run("journalctl", "-b", "-u", "privnet-forwarder*", "-o", "cat", "--no-pager", check=False).splitlines()[-12:]:
        tell(f"journal: {line}")
    if not REBOOTED.exists():
        REBOOTED.write_text("")
        tell("it reboots")
        run("systemctl", "reboot")
        return
    tell("the end")
    run("systemctl", "poweroff")


if __name__ == "__main__":
    {"lab": lab, "database": database, "client": client, "look": look}[sys.argv[1]]()
