#!/usr/bin/env python3
"""Instances of cease-search that ask each other: fan-out, partial results, replicas, what is cancelled. See rig.py.

    remote_test.py PROGRAM BUILD_ROOT [--full] [CASE-GLOB...]
"""
import json
import socket
import sys
import threading

from rig import HANG, SLOW, Place, ask_in_background, case, check, environment, eventually, run_all


class Stub:
    """A server in the place of an instance, whose answer the case gives; None: never."""

    def __init__(self, answer):
        self.answer = answer
        self.requests = []
        self.closed = 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        while True:
            try:
                conn, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()

    def serve(self, conn):
        with conn:
            conn.settimeout(HANG)
            head = b""
            while b"\r\n\r\n" not in head:
                more = conn.recv(65536)
                if not more:
                    return
                head += more
            self.requests.append(head.decode())
            if self.answer is None:
                conn.recv(1)  # returns when the other side closes
                self.closed += 1
                return
            conn.sendall(self.answer)

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)  # wakes accept, which would go on with whatever gets the number next
        self.thread.join(HANG)
        self.socket.close()


def response(status, body):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(data)) + data


def hit(title, url, snippet="", summary="s"):
    return {"title": title, "url": url, "summary": summary, "snippet": "", "snippet_html": snippet, "backend": "manual"}


def results(*hits):
    return response(200, {"results": list(hits), "backends": []})


def backend(answer, name):
    return next(b for b in answer["backends"] if b["name"] == name)


@case
def instances_are_asked_in_parallel_and_their_pages_lead_through_us():
    other = Place().server()
    front = Place().server("--backend", f"north=http://{other.address}", "--no-index", ready=False)
    answer = front.json("/search?q=signal&timeout=5s")[1]
    check(backend(answer, "north")["error"] is None and backend(answer, "north")["results"] > 0, answer)
    check(backend(answer, "manual")["results"] == 0, "the front has no index of its own:", answer)
    first = answer["results"][0]
    check(first["url"] == "/doc/north/manual%2Fsignal.2" and first["title"] == "signal(2)", first)
    check("<mark>" in first["snippet_html"], "the marks came through:", first)
    status, page, _ = front.get(first["url"])
    check(status == 200 and "Sets a handler" in page, status, page)
    status, page, _ = front.get("/doc/north/manual%2Fsignal.7")
    check('href="/doc/north/manual%2Fkill.1"' in page, "links of the page lead through us:", page)
    check(front.get("/doc/north/manual%2Fnothing.1")[0] == 404, "a page that is not there")
    check(front.get("/doc/north/packages%2Fbash")[0] == 200, "its packages, too")
    status, page, _ = front.get("/search?q=signal")
    check("Manual pages" in page and ">north<" in page.replace("</b>", "<"), "its bar:", page)
    front.stop()
    other.stop()


@case
def the_same_document_from_two_instances_is_shown_once():
    other = Place().server()
    front = Place().server("--backend", f"north=http://{other.address}", "--backend", f"south=http://{other.address}")
    answer = front.json("/search?q=kill&timeout=5s")[1]
    titles = [r["title"] for r in answer["results"]]
    alone = [r["title"] for r in other.json("/search?q=kill&timeout=5s")[1]["results"]]
    check(sorted(titles) == sorted(alone), titles, alone)
    check({r["backend"] for r in answer["results"]} <= {"manual", "packages"}, "ours come first:", answer["results"])
    front.stop()
    other.stop()


@case
def an_instance_that_is_down_or_talks_nonsense_makes_partial_results():
    nonsense = [Stub(a) for a in (response(200, b"hello"), response(200, b"{}"), response(500, {"error": "on fire"}),
                                  response(200, b"[" * 100000), results({"title": 3}), b"\x00\x01\x02\r\n\r\n")]
    with socket.create_server(("127.0.0.1", 0)) as s:
        down = "http://127.0.0.1:%d" % s.getsockname()[1]
    flags = [f for i, stub in enumerate(nonsense) for f in ("--backend", f"bad{i}={stub.url}")]
    front = Place().server(*flags, "--backend", "down=" + down)
    status, answer = front.json("/search?q=signal&timeout=5s")
    check(status == 200 and answer["partial"] is True, status, answer)
    check(any(r["title"] == "signal(2)" for r in answer["results"]), "ours are there:", answer)
    check(backend(answer, "down")["error"].endswith("connection refused"), backend(answer, "down"))
    check("answered 500: on fire" in backend(answer, "bad2")["error"], backend(answer, "bad2"))
    for i in (0, 1, 3, 4, 5):
        check(backend(answer, f"bad{i}")["error"], i, answer["backends"])
    page = front.get("/search?q=signal")[1]
    check("down did not answer" in page, page)
    front.stop()
    for stub in nonsense:
        stub.close()


@case
def foreign_html_is_filtered_again():
    evil = Stub(results(hit("evil<script>(1)", "/doc/manual/evil.1", "<script>alert(1)</script> <mark>x</mark>", "<b>bold</b>"),
                        hit("x", "javascript:alert(1)"), ))
    front = Place().server("--backend", "evil=" + evil.url)
    answer = front.json("/search?q=zzz&timeout=5s")[1]
    check(backend(answer, "evil")["error"], "a URL that is no document's is refused:", answer)
    evil.answer = results(hit("evil<script>(1)", "/doc/manual/evil.1", "<script>alert(1)</script> <mark>x</mark>", "<b>bold</b>"))
    page = front.get("/search?q=zzz&timeout=30s")[1]
    check("<script>alert" not in page and "evil&lt;script&gt;(1)" in page and "<mark>x</mark>" in page, page)
    check("&lt;b&gt;bold&lt;/b&gt;" in page, page)
    evil.answer = response(200, {"title": "t", "summary": "s", "text": "x", "extra": "Homepage: javascript:alert(1)\n",
                                 "html": '<p onclick="x()">a<script>b</script><a href="javascript:c">d</a></p>'})
    page = front.get("/doc/evil/manual%2Fevil.1")[1]
    article = page[page.index("<article"):]
    check("onclick" not in article and "<script" not in article and 'href="javascript' not in article, article)
    front.stop()
    evil.close()


@case
def time_address_and_trace_go_with_the_request():
    stub = Stub(results())
    front = Place().server("--backend", "far=" + stub.url)
    front.json("/search?q=a%20b%26c&timeout=9500ms")
    head = stub.requests[0]
    lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
    check(head.startswith("GET /search?format=json&q=a%20b%26c HTTP/1.1\r\n"), head)
    check(0 < int(lines["X-Request-Timeout-Ms"]) < 9500, lines)
    check(lines["X-Forwarded-For"] == "127.0.0.1" and lines["X-Search-Hops"] == "1", lines)
    trace = "0af7651916cd43dd8448eb211c80319c"
    front.get("/search?q=a&format=json", {"traceparent": f"00-{trace}-b7ad6b7169203331-01", "tracestate": "vendor=1"})
    lines = dict(line.split(": ", 1) for line in stub.requests[1].split("\r\n")[1:] if line)
    lines = {k.lower(): v for k, v in lines.items()}
    check(lines["traceparent"].split("-")[1] == trace and lines["tracestate"] == "vendor=1", "the trace goes on:", lines)
    front.stop()
    stub.close()


@case
def a_client_that_goes_ends_what_runs_in_the_other_instance():
    slow = Place().server(env=SLOW)
    front = Place().server("--backend", f"slow=http://{slow.address}", "--no-index", ready=False)
    slow.quiet()
    thread, result = ask_in_background(front, "/search?q=signal&timeout=3s&format=json")
    eventually(lambda: slow.health()["statements"]["running"] >= 2, "the other instance works for it")
    thread.join(HANG)
    check(backend(json.loads(result["body"]), "slow")["error"] == "deadline exceeded", result)
    eventually(lambda: slow.health()["statements"]["running"] == 0, "its statements are gone")
    with socket.create_connection(tuple(front.address.split(":")), HANG) as s:
        s.sendall(b"GET /search?q=signal HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually(lambda: slow.health()["statements"]["running"] >= 2, "it works again")
    slow.log(r" 499 .*client")
    front.log(r" 499 .*client")
    slow.quiet()
    front.stop()
    slow.stop()


@case
def replicas_the_first_answer_wins_and_the_others_are_cancelled():
    never, good = Stub(None), Stub(results(hit("found(1)", "/doc/manual/found.1")))
    front = Place().server("--replica", never.url, "--replica", good.url, "--hedge", "5ms")
    for _ in range(4):  # each of them is the first to be asked in turn
        answer = front.json("/search?q=found&timeout=30s")[1]
        check(backend(answer, "replica")["results"] == 1, answer)
        check(any(r["url"] == "/doc/replica/manual%2Ffound.1" for r in answer["results"]), answer)
    check(never.requests, "the slow one was asked")
    eventually(lambda: never.closed == len(never.requests), "its requests were cancelled")
    front.quiet()
    front.stop()
    never.close()
    good.close()


@case
def replicas_one_that_fails_is_passed_over_at_once():
    broken, good = Stub(response(500, {"error": "x"})), Stub(results(hit("found(1)", "/doc/manual/found.1")))
    front = Place().server("--replica", broken.url, "--replica", good.url, "--hedge", "1h")
    for _ in range(2):
        answer = front.json("/search?q=found&timeout=30s")[1]
        check(backend(answer, "replica")["results"] == 1, "an answer:", answer)
    broken.answer = good.answer = response(500, {"error": "both"})
    check("both" in backend(front.json("/search?q=found&timeout=30s")[1], "replica")["error"], "both have failed")
    front.stop()
    broken.close()
    good.close()


@case
def instances_that_name_each_other_do_not_ask_in_circles():
    place = Place()
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    server = place.server("--backend", "me=" + url, listen=f"127.0.0.1:{port}")
    answer = server.json("/search?q=signal&timeout=20s")[1]
    check(backend(answer, "me")["error"] is None, answer)
    total = server.health()["requests"]["total"]
    check(total < 20, "requests", total)
    server.stop()


@case
def bad_flags_for_instances_are_one_sentence():
    place = Place()
    for flags, words in ((["--backend", "ftp://x"], "expected the URL"), (["--backend", "http://"], "expected the URL"),
                         (["--backend", "http://x/path"], "expected the URL"), (["--backend", "a b=http://x"], "expected a name"),
                         (["--backend", "manual=http://x"], "two backends"), (["--replica", "x"], "expected the URL"),
                         (["--backend", "http://x", "--backend", "http://x"], "two backends"),
                         (["--budget", "nobody=1s"], "no such backend"), (["--budget", "1s"], "NAME=DURATION"),
                         (["--hedge", "fast"], "expected a duration"), (["--replica", "http://x"] * 9, "too many replicas")):
        done = place.run(*flags)
        check(done.returncode == 2 and words in done.stderr and done.stderr.count("\n") == 1, flags, done.stderr)


if __name__ == "__main__":
    check(environment(None)["HOME"], "a home")
    sys.exit(run_all("mandoc"))
