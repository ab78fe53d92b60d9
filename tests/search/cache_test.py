#!/usr/bin/env python3
"""cease-search with a real Redis before its backends: what is kept, what is shared, and when Redis is away. See rig.py.

    cache_test.py PROGRAM BUILD_ROOT [CASE-GLOB...]
"""
import json
import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "servers"))
from rig import BASE, HANG, Place, Skip, ask_in_background, case, check, eventually, run_all  # noqa: E402
from servers import NoServer, Redis  # noqa: E402: from the folder of the line above

server_of_all = None


def redis():
    """The one server, started for the first case that wants it; each case finds it empty."""
    global server_of_all
    if not server_of_all:
        try:
            server_of_all = Redis(os.path.join(BASE, "redis"))
        except NoServer as e:
            raise Skip(str(e)) from e
    check(server_of_all.command("FLUSHALL") == b"+OK\r\n", "it is emptied")
    return server_of_all


def ask(server, query="signal"):
    return server.json(f"/search?q={query}&timeout=20s")[1]


def cached(answer):
    return [b["cached"] for b in answer["backends"]]


def ask_cached(server):
    """From the cache, sooner or later: on a busy machine Redis is not always given the time."""
    def answer():
        a = ask(server)
        return a if cached(a) == [True, True] else None
    return eventually(answer, "it comes from the cache")


@case
def results_are_kept_for_their_time_and_are_the_same():
    r = redis()
    server = Place().server("--cache", r.url, "--cache-ttl", "10m")
    first = ask(server)
    check(cached(first) == [False, False], first)
    second = ask_cached(server)
    check(first["results"] == second["results"], "the same:", first, second)
    check("<mark>" in second["results"][0]["snippet_html"], "with their marks")
    ttl = int(r.command("PTTL", "cease-search:1:manual:signal")[1:])
    check(0 < ttl <= 600000, "ttl", ttl)
    eventually(lambda: "results, cached" in server.get("/search?q=signal")[1], "the page says so")
    r.command("FLUSHALL")
    check(cached(ask(server)) == [False, False], "gone")
    other = Place().server("--cache", r.url)

    def is_shared():
        r.command("SET", "cease-search:1:manual:signal", '[["signal.2","from another","s","s",true]]')
        return "from another" in [hit["title"] for hit in ask(other)["results"]]
    eventually(is_shared, "instances share it")
    check(cached(ask(server, "nothingtobefound")) == [False, False] and
          cached(ask(server, "nothingtobefound")) == [False, False], "nothing found is not kept")
    other.stop()
    server.stop()


@case
def entries_that_are_not_ours_are_not_believed():
    r = redis()
    server = Place().server("--cache", r.url)
    for entry in ("", "{", "[]x", '{"a":1}', '[["a"]]', '[[1,2,3,4,true]]', '["x"]', "[" * 5000):
        check(r.command("SET", "cease-search:1:manual:signal", entry) == b"+OK\r\n", entry)
        answer = ask(server)
        check(answer["results"][0]["title"] == "signal(2)" and not answer["partial"], entry, answer)
    r.command("LPUSH", "cease-search:1:packages:kill", "a list")
    check(not ask(server, "kill")["partial"], "another type of value")
    r.command("SET", "cease-search:1:manual:evil", '[["<b>k</b>","<script>x</script>","s","s",false]]')
    page = server.get("/search?q=evil")[1]
    check("<script>x" not in page, page)
    server.stop()


@case
def many_who_ask_for_the_same_share_one_search():
    r = redis()
    server = Place().server("--cache", r.url, env={"CEASE_SEARCH_SLOW_MS": "5000"})
    asking = [ask_in_background(server, "/search?q=signal&format=json") for _ in range(20)]
    eventually(lambda: server.health()["requests"]["running"] == 21, "all are waiting")
    eventually(lambda: server.health()["statements"]["running"] == 2, "one search of each backend runs")
    # Each search has a connection of its own, opened when it is first needed: twenty would have opened more.
    check(server.health()["statements"]["databases"] == 2, "for all of them:", server.health())
    for thread, result in asking:
        thread.join(HANG)
        check(result["status"] == 200 and json.loads(result["body"])["results"][0]["title"] == "signal(2)", result)
    server.stop()


@case
def who_leaves_first_stops_nobody_else_and_the_last_stops_the_search():
    r = redis()
    server = Place().server("--cache", r.url, env={"CEASE_SEARCH_SLOW_MS": "6000"})
    leader = socket.create_connection(tuple(server.address.split(":")), HANG)
    leader.sendall(b"GET /search?q=signal HTTP/1.1\r\nHost: x\r\n\r\n")
    eventually(lambda: server.health()["statements"]["running"] == 2, "the first one's search runs")
    thread, result = ask_in_background(server, "/search?q=signal&format=json")
    eventually(lambda: server.health()["requests"]["running"] == 3, "a second one waits for it")
    leader.close()
    server.log(r" 499 ")
    thread.join(HANG)
    check(result["status"] == 200 and json.loads(result["body"])["results"], "it got the results:", result)
    last = socket.create_connection(tuple(server.address.split(":")), HANG)
    last.sendall(b"GET /search?q=kill HTTP/1.1\r\nHost: x\r\n\r\n")
    eventually(lambda: server.health()["statements"]["running"] == 2, "another search runs")
    last.close()
    eventually(lambda: server.health()["statements"]["running"] == 0, "nobody waits for it, so it ends")
    server.quiet()
    server.stop()


@case
def redis_that_is_away_or_stuck_costs_little_and_is_used_again():
    r = redis()
    server = Place().server("--cache", r.url)
    ask(server)
    os.kill(r.process.pid, 19)  # SIGSTOP: it takes connections and answers nothing
    answer = ask(server)
    check(answer["results"][0]["title"] == "signal(2)" and cached(answer) == [False, False], answer)
    os.kill(r.process.pid, 18)
    r.kill()
    check(ask(server)["results"][0]["title"] == "signal(2)", "also when it is gone")
    eventually(lambda: any("Redis: " in line and "going on without it" in line for line in server.err_lines), "it is said")
    r.start()
    eventually(lambda: cached(ask(server)) == [True, True], "it is used again")
    eventually(lambda: any("Redis is back" in line for line in server.err_lines), "that, too")
    server.stop()


@case
def results_are_kept_over_tls_by_a_server_that_the_system_trusts():
    try:
        r = Redis(os.path.join(BASE, "redis-tls"), tls=True)
    except NoServer as e:
        raise Skip(str(e)) from e
    try:
        if not r.tls_address:
            raise Skip("Redis or openssl is missing, or has no TLS")
        url, root = "rediss://" + r.tls_address, os.path.join(r.folder, "root.crt")
        server = Place().server("--cache", url, env={"SSL_CERT_FILE": root})
        ask(server)
        eventually(lambda: cached(ask(server)) == [True, True], "it is used")
        server.stop()
        other = Place().server("--cache", url)
        check(cached(ask(other)) == [False, False], "without it")
        eventually(lambda: any("Redis: " in line and "going on without it" in line for line in other.err_lines), "it says so")
        other.stop()
    finally:
        r.stop()


@case
def bad_flags_for_the_cache_are_one_sentence():
    place = Place()
    for flags, words in ((["--cache", "nonsense://x"], "expected a URL such as"), (["--cache", "redis://"], "expected a URL such as"),
                         (["--cache", "rediss://:x%@host"], "expected a URL such as"), (["--cache-ttl", "0s"], "greater than 0"), (["--cache-ttl", "1us"], "1ms or more"), (["--cache"], "needs a value")):
        done = place.run(*flags)
        check(done.returncode == 2 and words in done.stderr and done.stderr.count("\n") == 1, flags, done.stderr)


if __name__ == "__main__":
    status = run_all("mandoc")
    if server_of_all:
        server_of_all.stop()
    sys.exit(status)
