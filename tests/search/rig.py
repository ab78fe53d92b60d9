"""What tests of cease-search are made of: cases, a folder to search, servers, the runner.

A test is a file of functions marked @case and calls run_all(); its arguments are

    TEST.py PROGRAM BUILD_ROOT [--full] [CASE-GLOB...]

Each case starts servers of its own on free ports, with a folder of pages and packages made here, stops them by
process id, and fails when one is left. Where root runs this, the servers run as nobody, from a copy that nobody may
read. The last line is "N passed, N failed, N skipped".
"""
import atexit
import fnmatch
import glob
import gzip
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

PROGRAM = os.path.abspath(sys.argv[1])
BUILD_ROOT = os.path.abspath(sys.argv[2])
FULL = "--full" in sys.argv[3:]
GLOBS = [a for a in sys.argv[3:] if not a.startswith("--")]
HANG = 60.0  # seconds: more than anything here takes, also under sanitizers; never a measure
CASES = []
BASE = tempfile.mkdtemp(prefix="cease-search-test.")  # a folder for everything of this run
os.chmod(BASE, 0o755)
atexit.register(shutil.rmtree, BASE, ignore_errors=True)


class Skip(Exception):
    pass


def case(fn):
    CASES.append(fn)
    return fn


def check(condition, *what):
    if not condition:
        raise AssertionError(" ".join(str(w) for w in what))


def eventually(fn, what):
    """Asks until fn() is true; what no event tells has to be asked."""
    end = time.monotonic() + HANG
    while True:
        value = fn()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"never happened: {what}")
        time.sleep(0.02)


# ---- what is searched ----

def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    data = text.encode()
    if path.endswith(".gz"):
        data = gzip.compress(data)
    with open(path, "wb") as f:
        f.write(data)


def man_page(name, section, summary, body):
    return (f'.TH {name.upper()} {section} "2026-01-01" "Test" "Test Manual"\n.SH NAME\n{name} \\- {summary}\n'
            f".SH SYNOPSIS\n.B {name}\n.SH DESCRIPTION\n{body}\n")


def make_pages(root, filler=0):
    man = os.path.join(root, "man")
    write(f"{man}/man2/signal.2.gz", man_page("signal", "2", "ANSI C signal handling", "Sets a handler for a signal."))
    write(f"{man}/man3/sigsetops.3.gz", man_page("sigsetops", "3", "signal set operations", "Works on a signalset."))
    write(f"{man}/man3/sigfillset.3.gz", ".so man3/sigsetops.3\n")
    os.symlink("sigsetops.3.gz", f"{man}/man3/sigaddset.3.gz")
    write(f"{man}/man3/dangling.3", ".so man3/nowhere.3\n")
    write(f"{man}/man7/signal.7", man_page("signal", "7", "overview of signals", "Linux has signals. See \\fBkill\\fP(1)."))
    write(f"{man}/man1/kill.1", man_page("kill", "1", "send a signal", "Sends a signal to a process."))
    write(f"{man}/man1/evil.1", man_page("evil", "1", "<script>alert(1)</script> & more",
                                        "A zebracrossing.\n.UR javascript:alert(1)\nclick\n.UE\n<img src=x onerror=alert(1)>"))
    write(f"{man}/de/man1/kill.1", man_page("kill", "1", "ein Signal senden", "Sendet ein Signal an einen Prozess."))
    write(f"{man}/man8/broken.8.gz", "")
    for i in range(filler):
        write(f"{man}/man8/filler{i:05}.8", man_page(f"filler{i:05}", "8", f"page number {i}", "Fills the index. " * 60))
    return man


STATUS = """Package: bash
Status: install ok installed
Section: shells
Version: 5.2
Homepage: https://example.org/bash
Description: GNU Bourne Again SHell
 Bash is a command language interpreter.
 .
 It runs
  verbatim line
 and more.

Package: gone
Status: deinstall ok config-files
Version: 1
Description: not here any more
"""
TRANSLATION = """Package: remote-thing
Description-md5: 0123
Description-en: a thing from far away
 Its long text speaks of wombats and a signal.

"""
PACKAGES = """Package: remote-thing
Version: 2
Description: a thing from far away

Package: short-thing
Version: 3
Description: only one line about quokkas

Package: bash
Version: 6
Description: another bash
"""


def make_packages(root):
    write(f"{root}/status", STATUS)
    write(f"{root}/lists/example.org_dists_x_main_i18n_Translation-en", TRANSLATION)
    write(f"{root}/lists/example.org_dists_x_main_binary-amd64_Packages", PACKAGES)


# ---- servers ----

def unprivileged():
    if os.geteuid() != 0:
        return {}
    return {"user": 65534, "group": 65534, "extra_groups": []}


def own(path):
    """Gives a tree to the user that servers run as."""
    if os.geteuid() == 0:
        for folder, _, files in os.walk(path):
            for name in [folder] + [os.path.join(folder, f) for f in files]:
                os.chown(name, 65534, 65534, follow_symlinks=False)


class Place:
    """A folder with a corpus and an index."""

    def __init__(self, filler=0):
        self.root = tempfile.mkdtemp(dir=BASE)
        self.man = make_pages(self.root, filler)
        make_packages(self.root)
        self.data = os.path.join(self.root, "data")
        os.chmod(self.root, 0o755)
        own(self.root)

    def flags(self):
        return ["--data", self.data, "--man", self.man, "--dpkg-status", f"{self.root}/status", "--apt-lists",
                f"{self.root}/lists"]

    def run(self, *flags, env=None, **more):
        """The program to its end."""
        return subprocess.run([RUNNABLE, *self.flags(), *flags], env=environment(env), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=HANG, **unprivileged(), **more)

    def server(self, *flags, **more):
        return Server(self, *flags, **more)


def environment(env):
    clean = {k: v for k, v in os.environ.items() if k not in ("PORT", "MANPATH") and not k.startswith("CEASE_SEARCH")}
    clean["HOME"] = BASE
    if RUNNABLE != PROGRAM:
        clean["LD_LIBRARY_PATH"] = os.path.dirname(RUNNABLE)
    clean.update(env or {})
    return clean


class Server:
    running = []

    def __init__(self, place, *flags, env=None, listen="127.0.0.1:0", ready=True, wrap=(), read_log=True):
        self.place = place
        self.log_lines = []
        self.err_lines = []
        listen = ["--listen", listen] if listen else []
        self.process = subprocess.Popen([*wrap, RUNNABLE, *place.flags(), *listen, *flags], env=environment(env),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        **unprivileged())
        Server.running.append(self)
        self.threads = [threading.Thread(target=self.read, args=(self.process.stderr, self.err_lines), daemon=True)]
        if read_log:
            self.threads.append(threading.Thread(target=self.read, args=(self.process.stdout, self.log_lines), daemon=True))
        for t in self.threads:
            t.start()
        self.address = eventually(self.find_address, f"the server's address: {self.err_lines}")
        if ready:
            eventually(lambda: all(i["state"] == "ready" for i in self.health()["index"].values()), "the index is ready")

    @staticmethod
    def read(stream, lines):
        for line in stream:
            lines.append(line.rstrip("\n"))

    def find_address(self):
        for line in list(self.err_lines):
            if m := re.search(r"serving (?:http://)?(\S+?)/?$", line):
                return m.group(1)
        check(self.process.poll() is None, "the server has ended:", self.err_lines)
        return None

    def get(self, target, headers=None, method="GET"):
        host, port = self.address.rsplit(":", 1)
        c = http.client.HTTPConnection(host, int(port), timeout=HANG)
        try:
            c.request(method, target, headers=headers or {})
            r = c.getresponse()
            return r.status, r.read().decode(), dict((k.lower(), v) for k, v in r.getheaders())
        finally:
            c.close()

    def json(self, target):
        status, body, _ = self.get(target, {"Accept": "application/json"})
        return status, json.loads(body)

    def health(self):
        return self.json("/healthz")[1]

    def curl(self, target, *flags):
        return subprocess.run(["curl", "-s", *flags, f"http://{self.address}{target}"], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=HANG)

    def log(self, pattern):
        """The first line of the access log that matches, once it is there."""
        return eventually(lambda: next((line for line in list(self.log_lines) if re.search(pattern, line)), None),
                          f"a log line with {pattern}")

    def quiet(self):
        """What the server holds when nothing runs but this question."""
        return eventually(self.at_rest, "the server is at rest")

    def at_rest(self):
        h = self.health()
        busy = h["requests"]["running"] != 1 or h["connections"]["now"] != 1 or h["statements"]["running"] or h["block_jobs"]
        return None if busy else h

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait(self):
        status = self.process.wait(HANG)
        for t in self.threads:
            t.join(HANG)
        if self in Server.running:
            Server.running.remove(self)
        for stream in (self.process.stdout, self.process.stderr):
            stream.close()
        return status

    def stop(self):
        if self.process.poll() is None:
            self.signal()
        status = self.wait()
        check(status == 0, "exit status", status, self.err_lines[-5:])


SLOW = {"CEASE_SEARCH_SLOW_MS": "20000"}


def ask_in_background(server, target):
    result = {}

    def ask():
        try:
            result["status"], result["body"], result["headers"] = server.get(target)
        except Exception as e:  # noqa: what it was is looked at by the case
            result["error"] = e

    thread = threading.Thread(target=ask)
    thread.start()
    return thread, result


def make_runnable():
    """A copy that nobody may execute, wherever the build is."""
    if os.geteuid() != 0:
        return PROGRAM
    folder = os.path.join(BASE, "program")
    os.makedirs(folder, exist_ok=True)
    for lib in glob.glob(f"{BUILD_ROOT}/**/libcease*.so*", recursive=True):
        if os.path.isfile(lib):
            shutil.copy(lib, folder, follow_symlinks=True)
    copy = shutil.copy(PROGRAM, folder)
    os.chmod(folder, 0o755)
    return copy


def run_case(fn):
    try:
        fn()
        left = len(Server.running)
        check(left == 0, left, "servers are left")
        return "ok"
    except Skip as e:
        print(f"skip  {fn.__name__}: {e}")
        return "skip"
    except Exception as e:  # noqa: a failure of any kind fails the case
        print(f"FAIL  {fn.__name__}: {e}")
        if not isinstance(e, AssertionError):
            traceback.print_exc(file=sys.stdout)
        for server in Server.running:
            print("      server:", *server.err_lines[-5:], sep="\n        ")
        return "FAIL"
    finally:
        for server in list(Server.running):
            server.process.kill()
            server.wait()


RUNNABLE = make_runnable()


def run_all(*commands):
    """Runs the cases, unless one of these commands is missing; the process's exit status."""
    counts = {"ok": 0, "FAIL": 0, "skip": 0}
    missing = [c for c in commands if not shutil.which(c)]
    if missing:
        print(f"skip  everything: {' and '.join(missing)} needed")
        print(f"0 passed, 0 failed, {len(CASES)} skipped")
        return 0
    for fn in CASES:
        if GLOBS and not any(fnmatch.fnmatch(fn.__name__, g) for g in GLOBS):
            continue
        verdict = run_case(fn)
        counts[verdict] += 1
        if verdict == "ok":
            print(f"ok    {fn.__name__}", flush=True)
    print(f"{counts['ok']} passed, {counts['FAIL']} failed, {counts['skip']} skipped")
    return 1 if counts["FAIL"] else 0
