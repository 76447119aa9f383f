"""Serves moto, and copies of what it holds: each copy is this process forked, so that many tests can start from one state at the cost of
one. Ends, with all copies, when its standard input does.

Prints one line of JSON with its URL and the ids of a network in it. Then for each line on standard input one line of JSON:
`copy` → `{"url", "pid"}` of a new copy; `end PID` → `{"ended": pid}`.
"""

import gc
import json
import os
import signal
import sys
import warnings

from moto.server import ThreadedMotoServer

from census import Account
from moto_world import network, serve

# Nothing is on its way in any other thread when this process is asked to fork: its tests wait for every answer.
warnings.filterwarnings("ignore", category=DeprecationWarning)


def copy():
    """Forks; the child serves its copy on a port of its own until it is killed."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reads)
        # The parent's commands are not the child's.
        os.close(0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _, url = serve(ThreadedMotoServer)
        os.write(writes, url.encode())
        os.close(writes)
        while True:
            signal.pause()
    os.close(writes)
    with os.fdopen(reads) as answer:
        url = answer.read()
    return {"url": url, "pid": child}


def end(child):
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return {"ended": child}


def main():
    _, url = serve(ThreadedMotoServer)
    world = network(url)
    # What moto reads at its first request each copy would read again; and what is frozen is not walked through in each of them.
    list(Account(url, without=["notifications"]).things())
    gc.collect()
    gc.freeze()
    print(json.dumps(world), flush=True)
    copies = set()
    # Not `for line in sys.stdin`: a child must not inherit lines that were read ahead.
    while line := sys.stdin.readline():
        command, *arguments = line.split()
        if command == "copy":
            answer = copy()
            copies.add(answer["pid"])
        else:
            answer = end(int(arguments[0]))
            copies.discard(answer["ended"])
        print(json.dumps(answer), flush=True)
    for child in copies:
        end(child)
    os._exit(0)


if __name__ == "__main__":
    main()
