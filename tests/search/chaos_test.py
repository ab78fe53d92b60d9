#!/usr/bin/env python3
"""A front instance, two behind it, PostgreSQL and Redis, all under load, while parts of them are stopped, killed,
paused and slowed at random. See rig.py.

    chaos_test.py PROGRAM BUILD_ROOT [--seconds=N] [--seed=N]

Every request must be answered: with the right pages, or with what could not be had, soon after its own deadline. When
it is over, and everything is there again, the instances hold what they held before, and every backend answers. How
late answers were is printed; a limit is only set against hanging, as the machine may be busy with other things.
"""
import http.client
import json
import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "servers"))
from rig import BASE, Place, Skip, case, check, eventually, run_all  # noqa: E402
from servers import NoServer, NoStart, Postgres, Redis  # noqa: E402: from the folder of the line above


def argument(name, default):
    return int(next((a.split("=", 1)[1] for a in sys.argv if a.startswith(f"--{name}=")), default))


SECONDS, SEED = argument("seconds", 12), argument("seed", time.time_ns() % 1000000)
CLIENTS = 8
LATE_MAX_S = 10.0
# What each query finds when its backend answers; an answer may have less, but nothing else.
RIGHT = {"signal": {"signal(2)", "signal(7)", "kill(1)", "sigsetops(3)", "remote-thing"},
         "zebracrossing": {"evil(1)"}, "wombats": {"remote-thing"}, "interpreter": {"bash"}, "quokkas": {"short-thing"}}


class Part:
    """Something that can be paused, killed and brought back."""

    def __init__(self, name, pid, again):
        self.name, self.pid, self.again = name, pid, again

    def harm(self, rng):
        """One misfortune, from its beginning to its end."""
        kind = rng.choice(("pause", "kill", "blink"))
        if kind == "kill":
            os.kill(self.pid(), signal.SIGKILL)
            time.sleep(rng.uniform(0, 0.5))
            self.again()
        else:
            os.kill(self.pid(), signal.SIGSTOP)
            time.sleep(rng.uniform(0.2, 1.0) if kind == "pause" else 0.02)
            os.kill(self.pid(), signal.SIGCONT)
        return kind


class Load(threading.Thread):
    def __init__(self, front, seed, over):
        super().__init__(daemon=True)
        self.front, self.rng, self.over = front, random.Random(seed), over
        self.statuses, self.late, self.wrong = {}, [], []

    def run(self):
        while not self.over.is_set():
            query, timeout_ms = self.rng.choice(list(RIGHT)), self.rng.choice((20, 100, 300))
            since = time.monotonic()
            try:
                host, port = self.front.address.rsplit(":", 1)
                c = http.client.HTTPConnection(host, int(port), timeout=60)
                c.request("GET", f"/search?q={query}&timeout={timeout_ms}ms&format=json")
                if self.rng.random() < 0.2:  # a client that gives up
                    time.sleep(self.rng.uniform(0, 0.02))
                    c.close()
                    self.count("gave up")
                    continue
                reply = c.getresponse()
                self.look(query, reply.status, json.loads(reply.read()))
                self.late.append(time.monotonic() - since - timeout_ms / 1000)
                c.close()
            except Exception as e:  # noqa: the front is never harmed, so nothing may go wrong
                self.wrong.append(repr(e))

    def count(self, what):
        self.statuses[what] = self.statuses.get(what, 0) + 1

    def look(self, query, status, answer):
        self.count(status)
        titles = {r["title"] for r in answer.get("results", [])}
        # The embedded index gives what has any of the words when nothing has all: here one word is all.
        if status not in (200, 502, 504) or not titles <= RIGHT[query]:
            self.wrong.append(f"{query}: {status} {sorted(titles)}")
        if status == 200 and not answer["partial"] and not titles:
            self.wrong.append(f"{query}: everybody answered, and nothing was found")


def restart(db):
    """PostgreSQL takes a moment until its lock file is free."""
    db.process.wait(60)
    eventually(lambda: started(db), "it starts again")


def started(server):
    try:
        server.start()
        return True
    except NoStart:
        return False


class Cluster:
    def __init__(self):
        try:
            self.db, self.cache = Postgres(os.path.join(BASE, "postgres")), Redis(os.path.join(BASE, "redis"))
        except NoServer as e:
            raise Skip(str(e)) from e
        shared = ["--db", self.db.url, "--cache", self.cache.url, "--cache-ttl", "200ms", "--log", "off"]
        self.places = [Place(), Place()]
        self.backs = [p.server(*shared) for p in self.places]
        self.shared = shared
        urls = [f"http://{b.address}" for b in self.backs]
        self.front = Place().server("--db", self.db.url, "--cache", self.cache.url, "--cache-ttl", "200ms", "--log", "off",
                                    "--backend", "one=" + urls[0], "--replica", urls[0], "--replica", urls[1],
                                    "--hedge", "20ms")
        self.parts = [Part("PostgreSQL", lambda: self.db.process.pid, lambda: restart(self.db)),
                      Part("Redis", lambda: self.cache.process.pid, lambda: restart(self.cache))]
        self.parts += [Part(f"instance {i}", lambda i=i: self.backs[i].process.pid, lambda i=i: self.bring_back(i))
                       for i in range(2)]

    def bring_back(self, i):
        old = self.backs[i]
        old.wait()
        self.backs[i] = self.places[i].server(*self.shared, listen=old.address)

    def is_whole(self):
        """Everybody answers, twice in a row: with the cache and without."""
        answer = self.front.json("/search?q=signal&timeout=10s")[1]
        return not answer["partial"] and {r["title"] for r in answer["results"]} == RIGHT["signal"]

    def stop(self):
        for server in (self.front, *self.backs):
            server.stop()
        self.cache.stop()
        self.db.stop()


@case
def every_request_is_answered_whatever_happens():
    cluster = Cluster()
    eventually(cluster.is_whole, "everybody answers before")
    over = threading.Event()
    warm = [Load(cluster.front, SEED + i, over) for i in range(CLIENTS)]
    for load in warm:
        load.start()
    time.sleep(1)
    over.set()
    for load in warm:
        load.join(60)
    before = cluster.front.quiet()
    over = threading.Event()
    loads = [Load(cluster.front, SEED + 100 + i, over) for i in range(CLIENTS)]
    for load in loads:
        load.start()
    rng, harmed, end = random.Random(SEED), {}, time.monotonic() + SECONDS
    while time.monotonic() < end:
        part = rng.choice(cluster.parts)
        what = (part.name, part.harm(rng))
        harmed[what] = harmed.get(what, 0) + 1
        time.sleep(rng.uniform(0, 0.3))
    over.set()
    for load in loads:
        load.join(120)
        check(not load.is_alive(), "a request hangs")
    wrong = [w for load in loads for w in load.wrong]
    check(not wrong, f"seed {SEED}:", len(wrong), wrong[:5])
    eventually(cluster.is_whole, f"seed {SEED}: everybody answers afterwards")
    after = cluster.front.quiet()
    late = sorted(t for load in loads for t in load.late)
    statuses = {}
    for load in loads:
        for status, n in load.statuses.items():
            statuses[status] = statuses.get(status, 0) + n
    print(f"      seed {SEED}: {sum(statuses.values())} requests {statuses}, {sum(harmed.values())} misfortunes; "
          f"after the deadline: p99 {late[len(late) * 99 // 100] * 1e3:.1f} ms, p99.9 {late[len(late) * 999 // 1000] * 1e3:.1f} ms, "
          f"worst {late[-1] * 1e3:.1f} ms; fds {before['fds']} -> {after['fds']}, heap {after['heap_bytes'] - before['heap_bytes']:+}")
    check(late[-1] < LATE_MAX_S, "an answer came so late:", late[-1])
    check(statuses.get(200, 0) > 0 and statuses.get("gave up", 0) > 0, statuses)
    check(after["tasks"] == before["tasks"] and after["contexts"] <= before["contexts"] + 64, before, after)
    check(after["fds"] <= before["fds"] + 64, "fds beyond the pools", before["fds"], after["fds"])
    check(after["heap_bytes"] - before["heap_bytes"] < 8 << 20, "heap", before["heap_bytes"], after["heap_bytes"])
    cluster.stop()


if __name__ == "__main__":
    sys.exit(run_all("mandoc"))
