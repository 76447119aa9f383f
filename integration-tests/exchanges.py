"""Reads records of exchanges with a local cloud, for the checks that hold them to each cloud's own description.

A record has one JSON line for each exchange, as `privnet sandbox serve --record` writes it; several clouds may share one. The records
of thousands of tests say the same again and again: `each_once` leaves out what differs from an earlier exchange in nothing but ids,
hashes and times that are generated. All else counts: names, numbers, values, and how lists are numbered.
"""

import json
import pathlib
import re

# Each check has a test that no word of its cloud's description is taken for one of these.
GENERATED = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{8,}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+")


class Exchanges:
    """The exchanges with one cloud, in records and in folders of records."""

    def __init__(self, cloud, paths, each_once=False, generated=GENERATED):
        self.cloud, self.generated = cloud, generated
        self.paths = [path for given in map(pathlib.Path, paths) for path in (sorted(given.iterdir()) if given.is_dir() else [given])]
        self.known = set() if each_once else None
        self.repeated = 0

    def __iter__(self):
        """Each exchange with the record and line that it stands in."""
        for path in self.paths:
            with open(path, encoding="utf-8") as lines:
                for number, text in enumerate(lines, 1):
                    exchange = json.loads(text)
                    if exchange["cloud"] == self.cloud and self.is_new(exchange):
                        yield f"{path}:{number}", exchange

    def is_new(self, exchange):
        """Whether no earlier one was alike, where that counts."""
        if self.known is None:
            return True
        said = " ".join(str(exchange.get(part)) for part in ("method", "path", "body", "status", "response"))
        alike, before = hash(self.generated.sub("0", said)), len(self.known)
        self.known.add(alike)
        self.repeated += len(self.known) == before
        return len(self.known) > before
