#!/usr/bin/env python3
"""Runs the real cease-search and asks it with curl and by hand: every promise of the program, end to end. See rig.py.

    search_test.py PROGRAM BUILD_ROOT [--full] [CASE-GLOB...]
"""
import glob
import http.client
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from rig import (BASE, BUILD_ROOT, FULL, HANG, RUNNABLE, SLOW, Place, Server, Skip, ask_in_background, case, check,
                 environment, eventually, man_page, own, run_all, unprivileged, write)

# ---- what is found ----


@case
def first_start_answers_with_real_pages_while_the_index_fills():
    place = Place(filler=1500)
    server = place.server(ready=False)
    found = eventually(lambda: server.json("/search?q=signal&timeout=5s&format=json")[1]["results"], "a first result")
    check(found[0]["backend"] in ("manual", "packages"), found[0])
    h = eventually(lambda: (x := server.health())["index"]["manual"]["total"] and x, "progress")
    check(h["index"]["manual"]["total"] >= 1500, h["index"])
    eventually(lambda: server.health()["index"]["manual"]["state"] == "ready", "the rest")
    server.stop()


@case
def json_has_the_promised_fields_and_the_best_first():
    server = Place().server()
    result = server.curl("/search?q=signal&timeout=9s&format=json")
    answer = json.loads(result.stdout)
    titles = [r["title"] for r in answer["results"]]
    check(titles[0] == "signal(2)" and titles[1] == "signal(7)", "order:", titles)
    for r in answer["results"]:
        check(set(r) >= {"title", "url", "snippet", "backend"}, r)
        check(r["url"].startswith(f"/doc/{r['backend']}/"), r)
    check(answer["timeout_ms"] == 9000 and 0 < answer["elapsed_ms"] < 9000, answer)
    check([b["name"] for b in answer["backends"]] == ["manual", "packages"], answer["backends"])
    for b in answer["backends"]:
        check(b["error"] is None and b["elapsed_ms"] > 0, b)
        check(b["results"] == sum(r["backend"] == b["name"] for r in answer["results"]), b)
    check(any(r["backend"] == "packages" for r in answer["results"]), titles)
    status, body, _ = server.get("/search?q=signal", {"Accept": "application/json"})
    check(json.loads(body)["timeout_ms"] == 10000, "the server's own limit")
    check(json.loads(server.get("/search?q=signal&timeout=1h&format=json")[1])["timeout_ms"] == 10000, "cut to it")
    server.stop()


@case
def page_shows_the_same_with_hits_marked():
    server = Place().server()
    status, page, headers = server.get("/search?q=signal&timeout=1.5s")
    check(status == 200 and headers["content-type"] == "text/html; charset=utf-8", status, headers)
    check('<a href="/doc/manual/signal.2">signal(2)</a>' in page, page)
    check("<mark>signal</mark>" in page and "timeout 1.5s" in page and re.search(r"\d+ results in ", page), page)
    check('value="signal"' in page and 'value="1.5s"' in page, "the form keeps what was asked")
    check("Manual pages" in page and "Packages" in page and "<rect" in page, "the bars")
    check("default-src 'none'" in headers["content-security-policy"], headers)
    for asset in ("/style.css", "/script.js", "/icon.svg", "/"):
        check(server.get(asset)[0] == 200, asset)
    server.stop()


@case
def everything_foreign_is_escaped():
    server = Place().server()
    _, page, _ = server.get("/search?q=%3Cscript%3Ealert(2)%3C/script%3E%22%27")
    check("<script>alert" not in page and "&lt;script&gt;alert(2)" in page and "&quot;&#39;" in page, page)
    _, page, _ = server.get("/search?q=zebracrossing")
    check("<script>alert" not in page and "<img" not in page, page)
    _, page, _ = server.get("/doc/manual/evil.1")
    check("zebracrossing" in page and "<script>alert" not in page, page)
    check('href="javascript' not in page and "<img" not in page, page)
    check("alert(1)" in json.loads(server.get("/doc/manual/evil.1?format=json")[1])["text"], "as text it is there")
    server.stop()


@case
def links_are_followed_once_and_found_by_name():
    server = Place().server()
    for alias in ("sigfillset", "sigaddset"):
        titles = [r["title"] for r in server.json(f"/search?q={alias}")[1]["results"]]
        check(titles == ["sigsetops(3)"], alias, titles)
        status, page, _ = server.get(f"/doc/manual/{alias}.3")
        check(status == 200 and "signalset" in page, alias, status)
    check(server.json("/search?q=dangling")[1]["results"] == [], "a link to nothing")
    server.stop()


@case
def english_comes_first_and_other_languages_are_there():
    server = Place().server()
    results = server.json("/search?q=kill")[1]["results"]
    keys = [r["url"] for r in results]
    check(keys[0] == "/doc/manual/kill.1" and "/doc/manual/kill.1%40de" in keys, keys)
    status, page, _ = server.get("/doc/manual/kill.1%40de")
    check(status == 200 and "Prozess" in page, status)
    server.stop()


@case
def packages_come_from_status_then_lists():
    server = Place().server()

    def find(q):
        return [(r["title"], r["backend"]) for r in server.json(f"/search?q={q}")[1]["results"]]
    check(find("wombats") == [("remote-thing", "packages")], "long text of the translation", find("wombats"))
    check(find("quokkas") == [("short-thing", "packages")], find("quokkas"))
    check(("bash", "packages") in find("interpreter") and ("gone", "packages") not in find("gone"), find("gone"))
    status, page, _ = server.get("/doc/packages/bash")
    check(status == 200 and "<pre> verbatim line\n</pre>" in page and "<dd>5.2" in page, page)
    check("<p>Bash is a command language interpreter." in page and 'href="https://example.org/bash"' in page, page)
    server.stop()


@case
def documents_that_are_not_there_are_404():
    server = Place().server()
    for target in ("/doc/manual/nothing.1", "/doc/packages/nothing", "/doc/other/signal.2", "/doc/manual/signal", "/x"):
        check(server.get(target)[0] == 404, target)
    check(server.get("/doc/manual/..%2f..%2fetc%2fpasswd")[0] in (400, 404), "an encoded path")
    status, body, _ = server.get("/doc/manual/signal.2", method="HEAD")
    check(status == 200 and body == "", "HEAD")
    server.stop()


@case
def changed_and_removed_pages_are_noticed_at_the_next_start():
    place = Place()
    place.server().stop()
    write(f"{place.man}/man1/kill.1", man_page("kill", "1", "send a signal", "Now speaks of xylophones."))
    os.remove(f"{place.man}/man1/evil.1")
    own(place.root)
    server = place.server()
    check([r["title"] for r in server.json("/search?q=xylophones")[1]["results"]] == ["kill(1)"], "changed")
    check(server.json("/search?q=zebracrossing")[1]["results"] == [], "removed")
    check(any("2 new" in line or "1 new" in line for line in server.err_lines), server.err_lines)
    server.stop()


# ---- what is refused, and time ----


@case
def bad_questions_are_400_with_a_sentence():
    server = Place().server()
    for target in ("/search", "/search?q=", "/search?q=%20%20", "/search?timeout=1s&q="):
        status, body, _ = server.get(target + ("&" if "?" in target else "?") + "format=json")
        check(status == 400 and json.loads(body)["error"] == "no query", target, status, body)
        status, body, _ = server.get(target)
        check(status == 400 and "no query" in body, target)
    for bad in ("abc", "1", "10", "1x", "s", "1s%20", "-", "1.2.3s", "99999999999999h"):
        status, body, _ = server.get(f"/search?q=x&timeout={bad}&format=json")
        check(status == 400 and "300ms" in body and "1h2m3s" in body, bad, status, body)
    check(server.get("/search?q=" + "x" * 2000)[0] == 400, "too long")
    for bad in ("%ff%zz", "%", "a%00b", "%00"):
        check(server.get(f"/search?q={bad}")[0] == 400, "bad encoding", bad)
    check(server.get("/search?q=%ff%fe")[0] == 200, "not UTF-8, but a query")
    for odd in ("%22", "*", "(", "NEAR(", "a%20OR", "-x", "AND", "a%22b%22%22", "%F0%9F%98%80"):
        check(server.get(f"/search?q={odd}")[0] == 200, "odd query", odd)
    server.stop()


@case
def time_that_is_over_is_504():
    server = Place().server()
    for timeout in ("1ns", "0", "0s", "-1s"):
        status, body, headers = server.get(f"/search?q=signal&timeout={timeout}&format=json")
        answer = json.loads(body)
        check(status == 504 and answer["results"] == [] and answer["error"], timeout, status, body)
        check(all(b["error"] == "deadline exceeded" for b in answer["backends"]), body)
        check(headers.get("x-request-deadline-expired") == "1", headers)
    for timeout in ("1m", "1.5s", "1h2m3s", "%2B2s", "2000000us", "2000000%C2%B5s", ""):
        check(server.get(f"/search?q=signal&timeout={timeout}")[0] == 200, timeout)
    check(server.get("/doc/manual/signal.2?timeout=1ns")[0] == 504, "the same rules for documents")
    check(server.get("/doc/manual/signal.2?timeout=abc")[0] == 400, "the same rules for documents")
    server.stop()


@case
def slow_query_ends_at_its_timeout_and_its_statement_is_gone():
    server = Place().server(env=SLOW)
    status, answer = server.json("/search?q=signal&timeout=150ms&format=json")
    check(status == 504 and [b["error"] for b in answer["backends"]] == ["deadline exceeded"] * 2, answer)
    check(150 <= answer["elapsed_ms"] < 10000, answer)
    h = server.health()
    check(h["statements"]["running"] == 0 and h["statements"]["interrupted"] >= 2, "at once, without waiting:", h)
    status, page, _ = server.get("/search?q=signal&timeout=50ms")
    check(status == 504 and "class=late" in page, page)
    server.stop()


@case
def partial_results_are_200_and_say_who_did_not_answer():
    server = Place().server("--budget", "packages=30ms", env={"CEASE_SEARCH_SLOW_MS": "300"})
    status, answer = server.json("/search?q=signal&timeout=20s&format=json")
    check(status == 200 and answer["partial"] and answer["results"][0]["title"] == "signal(2)", answer)
    check([b["error"] for b in answer["backends"]] == [None, "deadline exceeded"], answer["backends"])
    status, page, _ = server.get("/search?q=signal")
    check(status == 200 and "partial results" in page and "Packages did not answer" in page, page)
    server.stop()


@case
def limit_ends_what_has_no_timeout():
    server = Place().server("--limit", "100ms", env=SLOW)
    status, answer = server.json("/search?q=signal")
    check(status == 504 and answer["timeout_ms"] == 100, answer)
    server.stop()


# ---- clients that go away ----


@case
def client_that_gives_up_is_499_in_the_log_with_cause_and_time():
    server = Place().server(env=SLOW)
    before = server.quiet()
    result = server.curl("/search?q=signal", "--max-time", "0.2")
    check(result.returncode == 28, "curl gave up:", result.returncode)
    line = server.log(r"q=signal")
    m = re.search(r'"GET /search\?q=signal" 499 0 (\S+)ms "(.+)"$', line)
    check(m and "client" in m.group(2), line)
    check(0 < float(m.group(1)) < 10000, "the time is in the log", line)
    after = server.quiet()
    for what in ("tasks", "contexts", "block_jobs"):  # what has filled the index may have been there before
        check(after[what] <= before[what], what, before[what], after[what])
    check(after["statements"]["interrupted"] - before["statements"]["interrupted"] == 2, "both statements were ended", after)
    server.stop()


def abandon(server, count, clients):
    host, port = server.address.rsplit(":", 1)
    request = b"GET /search?q=signal HTTP/1.1\r\nHost: x\r\n\r\n"

    def one(i):
        with socket.create_connection((host, int(port)), HANG) as s:
            s.sendall(request)
            # Some go while the request is read, some while it is queued, some in the middle of the statement.
            time.sleep((0, 0, 0.001, 0.003, 0.01, 0.03)[i % 6])
            if i % 3 == 0:  # a reset instead of an orderly end
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(one, range(count)))


def abandoned_requests_leave_nothing(count):
    server = Place().server(env=SLOW)
    # First what is made once and kept: connections to the stores, threads, caches.
    with ThreadPoolExecutor(24) as pool:
        def warm():
            list(pool.map(lambda _: server.get("/search?q=signal&timeout=1s"), range(24)))
            return server.health()["statements"]["databases"] == 32
        eventually(warm, "all connections are open")
    abandon(server, count // 5, 40)
    before = server.quiet()
    abandon(server, count, 40)
    after = server.quiet()
    for what in ("tasks", "contexts"):
        check(after[what] == before[what], what, before[what], after[what])
    check(after["fds"] <= before["fds"] + 2, "fds", before["fds"], after["fds"])
    check(after["statements"]["databases"] == 32, after)
    grown = after["heap_bytes"] - before["heap_bytes"]
    # Less than the smallest thing that a request could lose, a context of some 100 bytes.
    check(grown < 100 * count, "heap grew by", grown)
    served = after["requests"]["total"] - before["requests"]["total"]
    check(served > count // 4, "requests that were read before their client went:", served)
    gone = eventually(lambda: (n := sum(" 499 " in line for line in list(server.log_lines))) > count // 4 and n, "499s in the log")
    print(f"      {count} abandoned, {served} of them read, {gone} logged as 499; heap {grown:+} bytes, "
          f"fds {before['fds']} -> {after['fds']}")
    server.stop()


@case
def abandoned_requests_leave_nothing_behind():
    abandoned_requests_leave_nothing(10000 if FULL else 500)


@case
def log_that_nobody_reads_stops_no_request():
    server = Place().server(read_log=False)
    for _ in range(1500):  # more than a pipe holds
        check(server.get("/search?q=&padding=" + "x" * 100)[0] == 400)
    server.signal()
    check(server.process.wait(HANG) == 0, "exit status")
    server.process.stdout.close()
    Server.running.remove(server)


# ---- stopping ----


def running(server):
    return eventually(lambda: server.health()["statements"]["running"] >= 2, "the query runs")


@case
def sigterm_lets_running_requests_finish():
    server = Place().server(env={"CEASE_SEARCH_SLOW_MS": "2500"})
    thread, result = ask_in_background(server, "/search?q=signal&format=json")
    running(server)
    server.signal()
    host, port = server.address.rsplit(":", 1)

    def refused():
        try:
            socket.create_connection((host, int(port)), HANG).close()
            return False
        except ConnectionError:
            return True
    eventually(refused, "no new connections")
    check(server.wait() == 0, "exit status")
    thread.join()
    check(result.get("status") == 200 and json.loads(result["body"])["results"], result)


@case
def sigterm_cancels_what_outlives_the_grace():
    server = Place().server("--grace", "200ms", env=SLOW)
    thread, result = ask_in_background(server, "/search?q=signal&format=json")
    running(server)
    server.signal()
    check(server.wait() == 0, "exit status")
    thread.join()
    line = server.log("q=signal")
    check('"server stopping"' in line and " 503 " in line, line)
    check(result.get("status") == 503 or "error" in result, result)


@case
def second_signal_ends_at_once():
    server = Place().server("--grace", "1h", "--limit", "1h", env=SLOW)
    thread, _ = ask_in_background(server, "/search?q=signal")
    running(server)
    server.signal()
    eventually(lambda: listener_gone(server), "the first signal is obeyed")
    check(server.process.poll() is None, "it waits for the request")
    server.signal()
    status = server.wait()
    check(status == 128 + signal.SIGTERM, "exit status", status)
    thread.join()


def listener_gone(server):
    host, port = server.address.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), HANG).close()
        return False
    except ConnectionError:
        return True


@case
def sigint_stops_too_and_while_the_index_fills():
    server = Place(filler=1500).server(ready=False)
    server.signal(signal.SIGINT)
    check(server.wait() == 0, "exit status", server.err_lines)


# ---- the index survives ----


def integrity(place):
    for name in ("manual", "packages"):
        db = sqlite3.connect(f"{place.data}/{name}.db")
        check(db.execute("PRAGMA integrity_check").fetchone()[0] == "ok", name)
        db.execute("INSERT INTO entry(entry) VALUES('integrity-check')")
        docs, entries = (db.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("doc", "entry"))
        check(docs == entries, name, docs, entries)
        db.close()


@case
def kill_9_leaves_a_whole_index_that_goes_on():
    place = Place(filler=3000)
    server = place.server(ready=False)
    eventually(lambda: (s := server.health()["index"]["manual"])["state"] == "filling" and s["done"] > 100, "some pages")
    server.signal(signal.SIGKILL)
    server.wait()
    integrity(place)
    own(place.root)
    db = sqlite3.connect(f"{place.data}/manual.db")
    before = db.execute("SELECT count(*) FROM doc").fetchone()[0]
    db.close()
    own(place.root)
    check(100 <= before < 3009, before)
    server = place.server()
    eventually(lambda: any("new" in line for line in server.err_lines), "the summary")
    summary = next(line for line in server.err_lines if "new" in line)
    total = server.health()["index"]["manual"]["total"]
    new = int(re.search(r"\((\d+) new", summary).group(1))
    check(total == 3007 and total - before <= new <= total - before + 3, "only the rest was done:", before, summary)
    check(server.json("/search?q=filler02999")[1]["results"], "the last page")
    server.stop()
    integrity(place)


@case
def second_process_serves_what_the_first_one_fills():
    place = Place()
    first = place.server()
    second = place.server(ready=False)
    check(any("another process" in line for line in second.err_lines), second.err_lines)
    check(second.json("/search?q=signal")[1]["results"], "it finds")
    second.stop()
    first.stop()


@case
def index_only_fills_and_ends():
    place = Place()
    result = place.run("--index-only")
    check(result.returncode == 0 and "indexed: 7 manual pages, 3 packages" in result.stderr, result.stderr)
    server = place.server("--no-index", ready=False)
    check(server.json("/search?q=signal")[1]["results"], "it finds")
    server.stop()


# ---- what goes wrong ----


def one_sentence(result, status, *words):
    check(result.returncode == status, "exit status", result.returncode, result.stderr)
    lines = [line for line in result.stderr.splitlines() if not line.startswith("cease-search: index")]
    check(len(lines) == 1 and lines[0].startswith("cease-search: "), "one sentence:", result.stderr)
    for word in words:
        check(word in lines[0], f"{word!r} is missing in", lines[0])


@case
def bad_flags_are_one_sentence_and_status_2():
    place = Place()
    for flags, word in ((["--nonsense"], "--nonsense"), (["extra"], "extra"), (["--grace", "soon"], "soon"),
                        (["--limit", "0s"], "0s"), (["--limit=-1s"], "-1s"), (["--budget", "other=1s"], "other"),
                        (["--grace"], "--grace"), (["--data", ""], "--data"), (["--index-only", "--no-index"], "--no-index"),
                        (["--man", "/nonexistent"], "No such file"), (["--apt-lists", "/nonexistent"], "No such file"),
                        (["--dpkg-status", "/nonexistent"], "No such file"), (["--backend", "http://"], '"http://"'),
                        (["--backend", "http://:80"], "URL of an instance"), (["--replica", "http://x:99999"], "URL of an instance"),
                        (["--backend", "http://[::1]:x"], "URL of an instance")):
        one_sentence(place.run(*flags), 2, word)
    one_sentence(place.run(env={"PORT": "abc"}), 2, "abc")
    one_sentence(place.run(env={"PORT": "70000"}), 2, "70000")
    one_sentence(place.run(env={"CEASE_SEARCH_SLOW_MS": "x"}), 2, "CEASE_SEARCH_SLOW_MS")
    result = place.run("--help")
    check(result.returncode == 0 and "--listen" in result.stdout, result)
    check(re.match(r"cease-search \d", place.run("--version").stdout), "version")


@case
def address_comes_from_flag_then_environment():
    place = Place()
    server = place.server(listen=None, env={"PORT": "0"}, ready=False)
    check(server.address.startswith("127.0.0.1:"), server.address)
    port = server.address.rsplit(":", 1)[1]
    one_sentence(place.run("--listen", server.address, env={"CEASE_SEARCH_LISTEN": "127.0.0.1:0"}), 1, port, "listen", "PORT")
    server.stop()
    server = place.server(listen=None, env={"CEASE_SEARCH_LISTEN": f"unix:{place.root}/sock", "PORT": "1"}, ready=False)
    result = subprocess.run(["curl", "-s", "--unix-socket", f"{place.root}/sock", "http://x/search?q=signal&format=json"],
                            capture_output=True, text=True, timeout=HANG)
    check("results" in json.loads(result.stdout), result.stdout)
    server.stop()
    one_sentence(place.run("--listen", "no address"), 1, "no address")


@case
def databases_that_cannot_be_read_are_left_alone():
    place = Place()
    os.makedirs(place.data)
    garbage = b"this was somebody's file, and no database " * 500
    path = f"{place.data}/manual.db"
    with open(path, "wb") as f:
        f.write(garbage)
    own(place.root)
    one_sentence(place.run("--listen", "127.0.0.1:0"), 1, "manual.db", "not a database")
    with open(path, "rb") as f:
        check(f.read() == garbage, "nothing lost")
    os.chmod(path, 0)
    one_sentence(place.run("--listen", "127.0.0.1:0"), 1, "manual.db")
    os.remove(path)
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    own(place.root)
    one_sentence(place.run("--listen", "127.0.0.1:0"), 1, "newer version")
    write(f"{place.root}/file", "x")
    one_sentence(place.run("--data", f"{place.root}/file"), 1, "file")
    one_sentence(place.run("--data", "/proc/nowhere"), 1, "/proc/nowhere")


@case
def damaged_index_is_one_sentence():
    place = Place(filler=300)
    check(place.run("--index-only").returncode == 0)
    path = f"{place.data}/manual.db"
    size = os.path.getsize(path)
    with open(path, "r+b") as f:
        f.truncate(size // 2)
    one_sentence(place.run("--listen", "127.0.0.1:0"), 1, "manual.db", "malformed")


@case
def full_disk_while_indexing_is_one_sentence_and_loses_nothing():
    place = Place()
    check(place.run("--index-only").returncode == 0)
    for i in range(2000):
        write(f"{place.man}/man8/more{i:05}.8", man_page(f"more{i:05}", "8", f"page {i}", f"Word{i} " * 200))
    own(place.root)
    # A limit of the file size stands for the full disk: 600 KiB.
    limited = ["sh", "-c", 'ulimit -f 1200; exec "$0" "$@"']
    result = subprocess.run([*limited, RUNNABLE, *place.flags(), "--listen", "127.0.0.1:0"], env=environment(None),
                            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=HANG, **unprivileged())
    check(result.returncode == 1, result.returncode, result.stderr)
    sentences = [line for line in result.stderr.splitlines() if "serving" not in line and ": index" not in line]
    check(len(sentences) == 1 and "no space left" in sentences[0], result.stderr)
    integrity(place)
    own(place.root)
    server = place.server()
    check(server.json("/search?q=zebracrossing")[1]["results"], "what was there before")
    check(server.json("/search?q=word1999")[1]["results"], "what did not fit then")
    server.stop()


@case
def missing_mandoc_is_said_and_the_rest_works():
    place = Place()
    path = os.path.join(place.root, "bin")
    os.makedirs(path)
    for tool in ("sh", "nice"):
        os.symlink(shutil.which(tool), f"{path}/{tool}")
    server = place.server(ready=False, env={"PATH": path})
    eventually(lambda: any("mandoc is not installed" in line for line in server.err_lines), "the sentence")
    eventually(lambda: server.json("/search?q=wombats")[1]["results"], "packages")
    server.stop()


@case
def machines_own_pages_are_found():
    roots = [r for r in ("/usr/share/man", os.path.expanduser("~/.cache/cease/manpages/usr/share/man"))
             if glob.glob(f"{r}/man2/signal.2*")]
    if not roots:
        raise Skip("this machine has no manual pages")
    place = Place()
    # A copy: root's own folder is closed to the user that servers run as.
    place.man = os.path.join(place.root, "own")
    for section in ("man2", "man7"):
        shutil.copytree(f"{roots[0]}/{section}", f"{place.man}/{section}", symlinks=True)
    own(place.man)
    server = place.server(ready=False)
    titles = eventually(lambda: [r["title"] for r in server.json("/search?q=signal&timeout=5s")[1]["results"]
                                 if r["title"].startswith("signal(")], "signal(2) or signal(7)")
    check(titles, titles)
    page = eventually(lambda: (p := server.get("/doc/manual/signal.2"))[0] == 200 and p[1], "the page")
    check("sigaction" in page and 'href="/doc/manual/' in page, "references to other pages lead here")
    server.stop()


# ---- tools/get-manpages ----

# Stands for apt-get: makes a package of one page for each name, or fails like a machine without a network.
FAKE_APT = """#!/bin/sh
echo "$@" >>"$CALLS"
[ -z "$OFFLINE" ] || { echo 'E: Failed to fetch' >&2; exit 100; }
case "$*" in *download*) ;; *) exit 0 ;; esac
while [ "$1" != download ]; do shift; done
shift
for name; do
    mkdir -p "$name/DEBIAN" "$name/usr/share/man/man2" "$name/usr/bin"
    printf 'Package: %s\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n' "$name" >"$name/DEBIAN/control"
    echo '.TH signal 2' >"$name/usr/share/man/man2/signal.2"
    echo program >"$name/usr/bin/$name"
    dpkg-deb --build "$name" "$name.deb" >/dev/null || exit 1
    rm -rf "$name"
done
"""


def get_manpages(*flags, **env):
    place = tempfile.mkdtemp(dir=BASE)
    write(f"{place}/bin/apt-get", FAKE_APT)
    os.chmod(f"{place}/bin/apt-get", 0o755)
    tool = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools/get-manpages")
    env = {**os.environ, "PATH": f"{place}/bin:{os.environ['PATH']}", "CALLS": f"{place}/calls", **env}
    result = subprocess.run([tool, *flags, f"{place}/pages"], env=env, capture_output=True, text=True, timeout=HANG,
                            stdin=subprocess.DEVNULL)
    calls = open(f"{place}/calls").read().splitlines() if os.path.exists(f"{place}/calls") else []
    return result, calls, f"{place}/pages"


@case
def manpages_are_unpacked_where_there_are_none():
    if not shutil.which("dpkg-deb"):
        raise Skip("this machine has no dpkg")
    result, calls, pages = get_manpages("--fake-empty")
    check(result.returncode == 0, result.stderr)
    check(os.path.exists(f"{pages}/usr/share/man/man2/signal.2"), "the page is there")
    check(not os.path.exists(f"{pages}/usr/bin"), "only pages are unpacked")
    check("manpages manpages-dev" in calls[0], calls)


@case
def manpages_need_no_apt_where_there_are_some():
    if not glob.glob("/usr/share/man/man2/signal*"):
        raise Skip("this machine has no manual pages")
    result, calls, pages = get_manpages()
    check(result.returncode == 0 and calls == [] and not os.path.exists(pages), result.stderr, calls)


@case
def manpages_offline_is_one_sentence():
    result, _, pages = get_manpages("--fake-empty", OFFLINE="1")
    lines = result.stderr.splitlines()
    check(result.returncode == 1 and "cannot be reached" in lines[-1], result.stderr)
    check(not os.path.exists(pages), "nothing half done")


# ---- running them ----


sys.exit(run_all("curl", "mandoc"))
