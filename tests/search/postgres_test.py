#!/usr/bin/env python3
"""cease-search on a real PostgreSQL: what is found, what is cancelled, and what happens when it goes away. See rig.py.

    postgres_test.py PROGRAM BUILD_ROOT [CASE-GLOB...]
"""
import json
import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "servers"))
from rig import BASE, HANG, SLOW, Place, Skip, ask_in_background, case, check, eventually, run_all  # noqa: E402
from servers import NoServer, Postgres  # noqa: E402: from the folder of the line above

database = None


def postgres():
    """The one server, started for the first case that wants it; each case gets an empty table."""
    global database
    if not database:
        try:
            database = Postgres(os.path.join(BASE, "postgres"))
        except NoServer as e:
            raise Skip(str(e)) from e
    database.query("DROP TABLE IF EXISTS cease_search")
    return database


def backend(answer, name="postgres"):
    return next(b for b in answer["backends"] if b["name"] == name)


def count(db):
    return int(db.query("SELECT count(*) FROM cease_search", check=False) or 0)


def filled(db, server, documents):
    eventually(lambda: count(db) == documents, f"{documents} documents in the table")


def documents_of(server):
    return sum(i["total"] for i in server.health()["index"].values())


@case
def documents_are_copied_and_found_as_in_the_embedded_index():
    db = postgres()
    server = Place().server("--db", db.url)
    filled(db, server, documents_of(server))
    for query in ("signal", "kill", "bash", "sigaddset", "wombats", "wombat", "command language interpreter"):
        answer = server.json(f"/search?q={query.replace(' ', '+')}&timeout=20s")[1]
        check(backend(answer)["error"] is None, query, answer["backends"])
        mine = sum(backend(answer, n)["results"] for n in ("manual", "packages"))
        check(backend(answer)["results"] > 0 or mine == 0, query, answer["backends"])
        check(all(not r["url"].startswith("/doc/postgres/") for r in answer["results"]), "ours are shown once:", answer["results"])
    check(server.json("/search?q=zebra+unicorn")[1]["results"] is not None, "no hit is no error")
    server.stop()
    alone = Place().server("--db", db.url, "--no-index", ready=False)
    answer = alone.json("/search?q=signal&timeout=20s")[1]
    first = answer["results"][0]
    check(first["title"] == "signal(2)" and first["url"] == "/doc/postgres/manual%2Fsignal.2", answer["results"])
    check("<mark>signal</mark>" in first["snippet_html"], first)
    check("Sets a handler" in alone.get(first["url"])[1], "its page")
    check(alone.get("/doc/postgres/manual%2Fnothing.1")[0] == 404 and alone.get("/doc/postgres/x")[0] == 404, "none")
    for odd in ("%27%3B+DROP+TABLE+cease_search", "%22unclosed", "a+%26+%7C+!", "-", "%FF%FE", "or+or"):
        check(alone.json(f"/search?q={odd}")[1].get("backends") is None or
              backend(alone.json(f"/search?q={odd}")[1])["error"] is None, odd)
    check(count(db) > 0, "the table is still there")
    alone.stop()


@case
def changed_documents_are_changed_there_and_gone_ones_go():
    db = postgres()
    place = Place()
    server = place.server("--db", db.url)
    filled(db, server, documents_of(server))
    server.stop()
    os.unlink(f"{place.man}/man1/kill.1")
    server = place.server("--db", db.url)
    eventually(lambda: db.query("SELECT count(*) FROM cease_search WHERE key = 'kill.1'") == "0", "it is gone")
    eventually(lambda: count(db) == documents_of(server), "the others are there")
    server.stop()


@case
def query_whose_time_is_over_is_gone_from_the_server():
    db = postgres()
    server = Place().server("--db", db.url, env=SLOW)
    filled(db, server, documents_of(server))
    active = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep($1)%' AND state = 'active'"
    thread, result = ask_in_background(server, "/search?q=signal&timeout=5s&format=json")
    eventually(lambda: db.query(active) == "1", "it runs there")
    thread.join(HANG)
    check(result["status"] == 504 and backend(json.loads(result["body"]))["error"] == "deadline exceeded", result)
    check(db.query(active) == "0", "its statement is gone when the answer is there")
    with socket.create_connection(tuple(server.address.split(":")), HANG) as s:
        s.sendall(b"GET /search?q=signal HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually(lambda: db.query(active) == "1", "another runs")
    eventually(lambda: db.query(active) == "0", "the client has gone, and so has it")
    server.log(r" 499 ")
    server.quiet()
    server.stop()


@case
def database_that_goes_away_makes_partial_results_and_is_used_again():
    db = postgres()
    server = Place().server("--db", db.url)
    filled(db, server, documents_of(server))
    db.kill()
    answer = server.json("/search?q=signal&timeout=20s")[1]
    check(answer["partial"] and backend(answer)["error"].startswith("PostgreSQL: "), answer["backends"])
    check(any(r["title"] == "signal(2)" for r in answer["results"]), "ours are there")
    db.start()
    eventually(lambda: backend(server.json("/search?q=signal&timeout=20s")[1])["error"] is None, "it is used again")
    server.stop()


@case
def database_that_is_not_there_stops_nothing():
    server = Place().server("--db", "postgres://nobody@/none?host=/nonexistent")
    answer = server.json("/search?q=signal&timeout=20s")[1]
    check(answer["partial"] and any(r["title"] == "signal(2)" for r in answer["results"]), answer)
    eventually(lambda: any("PostgreSQL: " in line and "trying again" in line for line in server.err_lines), "it is said")
    server.stop()


@case
def bad_flags_for_the_database_are_one_sentence():
    place = Place()
    for flags, words in ((["--db", "mysql://x"], "expected a connection string"), (["--db", "nonsense"], "expected a connection string"),
                         (["--db", ""], "needs a value")):
        done = place.run(*flags)
        check(done.returncode == 2 and words in done.stderr and done.stderr.count("\n") == 1, flags, done.stderr)


if __name__ == "__main__":
    status = run_all("mandoc")
    if database:
        database.stop()
    sys.exit(status)
