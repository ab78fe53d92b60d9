#!/usr/bin/env python3
"""Looks at a server's /metrics and /debug/cease as collectors and people do: out to find a figure that is
wrong or not in Prometheus' format, a client that sees what it must not, and, with a real browser, a page
that does not show a request that runs, or goes on showing it.

    debug_test.py SERVER
"""
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'harness'))
from browser import Browser, NoBrowser  # noqa: E402: from the folder of the line above

failures = 0
cases = 0
skipped = 0


def check(name, condition, detail=''):
    global failures, cases
    cases += 1
    if not condition:
        failures += 1
    print('%-5s %s%s' % ('ok' if condition else 'FAIL', name, '' if condition else ': %s' % (detail,)))


class Server:
    def __init__(self, *args):
        emulator = os.environ.get('HARNESS_EMULATOR', '').split()
        self.process = subprocess.Popen([*emulator, sys.argv[1], *args], stdout=subprocess.PIPE)
        self.host, port = self.process.stdout.readline().decode().strip().rsplit(':', 1)
        self.port = int(port)

    def get(self, path, **headers):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        connection.request('GET', path, headers={k.replace('_', '-'): v for k, v in headers.items()})
        reply = connection.getresponse()
        body = reply.read().decode()
        connection.close()
        return reply.status, body

    def waiting(self):
        """A request that waits until its connection is closed."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        connection.request('GET', '/wait')
        return connection

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


def eventually(condition):
    """The first true answer; after a minute, which no loaded machine needs, the last one."""
    end = time.monotonic() + 60
    while True:
        answer = condition()
        if answer or time.monotonic() > end:
            return answer
        time.sleep(0.05)


LINE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)((?:\{[a-z]+="[^"]*"\})?) ([0-9.e+-]+|\+Inf)$')


def metrics(server):
    values, typed = {}, set()
    status, text = server.get('/metrics')
    assert status == 200, status
    for line in text.splitlines():
        if line.startswith('# TYPE '):
            name = line.split()[2]
            assert name not in typed, 'twice: ' + name
            typed.add(name)
        elif not line.startswith('# HELP '):
            match = LINE.match(line)
            assert match, 'not in the format: ' + line
            base = re.sub('_(bucket|sum|count)$', '', match[1])
            assert match[1] in typed or base in typed, 'without a type: ' + line
            values[match[1] + match[2]] = float(match[3])
    return values


def check_metrics(server):
    for _ in range(3):
        server.get('/hello')
    status, _ = server.get('/wait', X_Request_Timeout_Ms='20')
    check('a deadline is 504', status == 504, status)
    status, _ = server.get('/hello', X_Request_Timeout_Ms='0')
    check('one that has passed is 504', status == 504, status)
    server.get('/hello', X_Request_Timeout_Ms='nonsense')
    server.get('/nothing')
    waiting = server.waiting()
    check('a request that runs is counted',
          eventually(lambda: metrics(server)['cease_http_requests_running'] == 2))
    waiting.close()
    check('a client that goes away is a cause',
          eventually(lambda: metrics(server)['cease_http_contexts_ended_total{cause="client_gone"}'] == 1))
    m = metrics(server)
    check('deadlines that ended requests', m['cease_http_contexts_ended_total{cause="deadline"}'] == 2, m)
    check('deadlines received', m['cease_http_deadlines_received_total'] == 2, m)
    check('deadlines that had expired', m['cease_http_deadlines_expired_total'] == 1, m)
    check('deadlines malformed', m['cease_http_deadlines_malformed_total'] == 1, m)
    check('classes', m['cease_http_responses_total{class="5xx"}'] == 2 and
          m['cease_http_responses_total{class="4xx"}'] == 2, m)
    buckets = [v for k, v in m.items() if k.startswith('cease_http_request_duration_seconds_bucket')]
    check('the histogram grows, up to its count', buckets == sorted(buckets) and len(buckets) == 13 and
          buckets[-1] == m['cease_http_request_duration_seconds_count'] > 7, buckets)
    check('20 ms were waited', m['cease_http_request_duration_seconds_sum'] >= 0.02, m)
    check('tasks and contexts live', m['cease_tasks'] >= 1 and m['cease_contexts'] >= 3 and
          m['cease_workers'] >= 1, m)


def check_who(server):
    check('a person on this machine sees the page', server.get('/debug/cease')[0] == 200)
    tree = json.loads(server.get('/debug/cease.json')[1])
    check('the JSON has the task that serves it', any('blocking' in (t['for'] or '') for t in tree['tasks']), tree)
    for host in ('evil.example', '127.0.0.1.evil.example', '127.evil.example', 'localhost.evil.example:80'):
        for path in ('/metrics', '/debug/cease', '/debug/cease.json'):
            status, body = server.get(path, Host=host)
            check('%s as %s is hidden' % (path, host), status == 404 and 'task' not in body, status)
    check('localhost is this machine', server.get('/debug/cease', Host='localhost:8080')[0] == 200)
    check('a proxied client is hidden', server.get('/metrics', X_Forwarded_For='10.0.0.1')[0] == 404)
    other = Server('anywhere')
    check('unless it was asked for', other.get('/metrics', Host='metrics.example')[0] == 200)
    check('that server stops with nothing left', other.stop() == 0)


def check_page(server):
    global skipped
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        try:
            browser = Browser(folder)
        except NoBrowser as error:
            skipped += 1
            print('skipped: %s' % error)
            return
        try:
            browser.open('http://%s:%d/debug/cease' % (server.host, server.port))
            check('the page draws the tree', eventually(lambda: 'background' in browser.text()), browser.text())
            check('it does not show what does not run', 'to have slept' not in browser.text(), browser.text())
            browser.run('window.sameDocument = true')
            waiting = server.waiting()
            check('a request that begins appears by itself',
                  eventually(lambda: 'to have slept' in browser.text()), browser.text())
            rows = browser.run('return [...document.querySelectorAll("tr.t")].map(r => [...r.cells].map(c => '
                               'c.textContent)).filter(r => r[1].includes("to have slept"))')
            check('with its wait, how long, and the time left', len(rows) == 1 and re.match(r'task \d+ ', rows[0][0]) and
                  re.match(r'[\d.]+ (ms|s)$', rows[0][2]) and re.match(r'[\d.]+ s$', rows[0][3]), rows)
            browser.run('const f = document.getElementById("filter"); f.value = "slept"; '
                        'f.dispatchEvent(new Event("input"))')
            check('the filter leaves what it names', eventually(
                lambda: browser.run('return document.querySelectorAll("#tree tr").length') == 1))
            waiting.close()
            check('and disappears when it is over', eventually(
                lambda: browser.run('return document.querySelectorAll("#tree tr").length') == 0), browser.text())
            check('all that without loading the page again', browser.run('return window.sameDocument === true'))
        finally:
            browser.close()


def main():
    server = Server()
    check_metrics(server)
    check_who(server)
    check_page(server)
    check('the server stops with nothing left', server.stop() == 0)
    print('%d passed, %d failed, %d skipped' % (cases - failures, failures, skipped))
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
