#!/usr/bin/env python3
"""Drives the HTTP/2 server with real clients (curl, nghttp, h2load, Go's), and Go's server with our client: out to
find what ours reads differently than everybody else, and what is left behind when they give up.

    peers_test.py SERVER              with curl, nghttp and h2load
    peers_test.py --go SERVER CLIENT  with Go's client and server, which take a while to build
    --tls                             the same over TLS: SERVER takes a certificate and a key, CLIENT a CA

A peer that is not installed is printed and counted as skipped.
"""
import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
EMULATOR = os.environ.get('HARNESS_EMULATOR', '').split()
counts = {'passed': 0, 'failed': 0, 'skipped': 0}


def check(name, condition, detail=''):
    counts['passed' if condition else 'failed'] += 1
    print('%-5s %s%s' % ('ok' if condition else 'FAIL', name, '' if condition else ': %r' % (detail,)))


def skip(name, why):
    counts['skipped'] += 1
    print('skip  %s: %s' % (name, why))


def run(*command, data=None, env=None):
    done = subprocess.run(command, input=data, timeout=120, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=env)
    return done.returncode, done.stdout, done.stderr


class Server:
    """The server, and what it logs."""

    def __init__(self, path, tls):
        self.process = subprocess.Popen([*EMULATOR, path, *tls], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        self.address = self.process.stdout.readline().decode().strip()
        self.url = ('https://' if tls else 'http://') + self.address
        self.log, self.ended, self.more = [], False, threading.Condition()
        self.reader = threading.Thread(target=self.read_log)
        self.reader.start()

    def read_log(self):
        for line in self.process.stderr:
            with self.more:
                self.log.append(line)
                self.more.notify_all()
        with self.more:
            self.ended = True
            self.more.notify_all()

    def wait_for(self, text):
        """The first line of the log that has the text; None when the log ends without."""
        with self.more:
            self.more.wait_for(lambda: self.ended or any(text in line for line in self.log))
            return next((line for line in self.log if text in line), None)

    def stop(self):
        """SIGTERM; its status, what it printed, the end of its log."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)
        self.reader.join()
        return self.process.returncode, self.process.stdout.read(), self.log[-5:]


def with_curl(server, big, tls):
    plain = ['curl', '-sS', '--noproxy', '*'] + (['--cacert', tls[0]] if tls else [])

    def curl(*args, data=None):
        code, out, _ = run(*plain, '--http2' if tls else '--http2-prior-knowledge', *args, data=data)
        return code, out

    code, out = curl(server.url + '/hello', '-w', '%{http_version} %{http_code}')
    check('curl is answered over HTTP/2', out == b'Hello, world\n2 200', out)
    code, out = curl('-I', server.url + '/hello')
    check('curl: HEAD has a length and no body', b'content-length: 13\r\n' in out, out)
    code, out = curl('--data-binary', '@' + big.name, server.url + '/echo')
    big.seek(0)
    check('curl: 3 MB come back through the windows', out == big.read(), len(out))
    code, out = curl('-o', os.devnull, '-w', '%{http_code}', '-H', 'grpc-timeout: 20m',
                     server.url + '/wait')
    check('curl: a deadline is 504', out == b'504', out)
    code, out = curl('-o', os.devnull, '-w', '%{http_code}', '-X', 'POST', '-H',
                     'Content-Type: application/x', server.url + '/wait')
    check('curl: a method that the path does not have is 405', out == b'405', out)
    code, out = curl('--max-time', '0.1', server.url + '/wait')
    check('curl gives up', code == 28, code)
    line = server.wait_for(b'/wait 499')
    check('its request is 499 in the log', line is not None, line)
    code, out, _ = run(*plain, '--http1.1' if tls else '--http2', server.url + '/hello', '-w', '%{http_version}')
    check('curl that %s gets HTTP/1.1' % ('chooses it' if tls else 'asks for an upgrade'),
          out == b'Hello, world\n1.1', out)


def with_nghttp(server):
    code, out, err = run('nghttp', '-v', '-m', '8', server.url + '/hello')
    check('nghttp gets eight answers', out.count(b':status: 200') == 8, out)
    code, out, err = run('nghttp', '-nv', '-H', ':method: POST', '-H', 'grpc-timeout: bad!',
                         server.url + '/echo')
    check('nghttp: a malformed deadline is ignored', b':status: 200' in out, out)


def with_h2load(server):
    code, out, err = run('h2load', '-n', '20000', '-c', '8', '-m', '32', server.url + '/hello')
    check('h2load: 20,000 requests over 8 connections succeed',
          b'20000 succeeded, 0 failed, 0 errored' in out, out)
    with tempfile.NamedTemporaryFile() as body:
        body.write(os.urandom(100000))
        body.flush()
        code, out, err = run('h2load', '-n', '200', '-c', '4', '-m', '8', '-d', body.name,
                             server.url + '/echo')
        check('h2load: 200 bodies of 100 KB come back', b'200 succeeded' in out and re.search(
            rb'\(20000000\) data', out) is not None, out)


def find_go():
    for at in [os.path.join(os.environ.get('GOROOT', ''), 'bin', 'go'), shutil.which('go')]:
        if at and os.path.isabs(at) and os.access(at, os.X_OK):
            return at
    return None


def build_go(name, folder):
    """Go's program of that name; None, with a line that says why, when it cannot be had."""
    go = find_go()
    if not go:
        return skip("Go's " + name, 'no Go in GOROOT or the PATH')
    program = os.path.join(folder, name)
    env = dict(os.environ, GO111MODULE='off', GOTOOLCHAIN='local', CGO_ENABLED='0', GOFLAGS='',
               GOCACHE=os.environ.get('GOCACHE', os.path.join(HERE, '..', '..', 'build', 'go-cache')))
    code, _, err = run(go, 'build', '-o', program, os.path.join(HERE, 'go', name, 'main.go'), env=env)
    return program if code == 0 else skip("Go's " + name, 'it does not build: ' + err.decode()[:200])


def take_verdicts(whose, done):
    """The lines "ok NAME" and "FAIL NAME" of a program that tries things itself."""
    code, out, err = done
    for line in out.decode().splitlines():
        word, _, name = line.partition(' ')
        check('%s: %s' % (whose, name), word == 'ok', err)
    check('%s ends well' % whose, code == 0, (out, err))


def with_go_client(server, folder, tls):
    program = build_go('client', folder)
    if not program:
        return
    client = subprocess.Popen([program, server.url, *tls[:1]], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    line = server.wait_for(b'/wait 499')
    out, err = client.communicate(timeout=60)  # it goes when its input ends
    take_verdicts("Go's client", (client.returncode, out, err))
    check('a request that Go cancels is reset with CANCEL',
          line is not None and line.rstrip().endswith(b'the client reset the stream: CANCEL'), line)


def with_go_server(client, folder, tls):
    program = build_go('server', folder)
    if not program:
        return
    server = subprocess.Popen([program, *tls], stdout=subprocess.PIPE, text=True)
    address = server.stdout.readline().strip()
    take_verdicts("our client", run(*EMULATOR, client, address, *tls[:1]))
    out, _ = server.communicate(timeout=60)
    check("Go's server hears of both that were given up", out.count('given up: /wait') == 2, out)
    check('and ends well', server.returncode == 0, server.returncode)


def with_others(server, tls):
    with tempfile.NamedTemporaryFile() as big:
        big.write(os.urandom(3 * 1000 * 1000))
        big.flush()
        for name, test in [('curl', lambda: with_curl(server, big, tls)),
                           ('nghttp', lambda: with_nghttp(server)),
                           ('h2load', lambda: with_h2load(server))]:
            if shutil.which(name):
                test()
            else:
                skip(name, 'it is not installed')


def make_certificate(folder):
    """A certificate that signs itself, and its key."""
    files = [os.path.join(folder, name) for name in ('certificate', 'key')]
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost',
                    '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-out', files[0], '-keyout', files[1]],
                   check=True, stderr=subprocess.DEVNULL)
    return files


def try_all(args, folder):
    tls = make_certificate(folder) if args.tls else []
    server = Server(args.server, tls)
    if args.go:
        with_go_client(server, folder, tls)
    else:
        with_others(server, tls)
    code, out, log = server.stop()
    check('SIGTERM ends it with nothing left', code == 0, (out, log))
    if args.go:
        with_go_server(args.client, folder, tls)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--tls', action='store_true')
    parser.add_argument('--go', action='store_true')
    parser.add_argument('server')
    parser.add_argument('client', nargs='?')
    args = parser.parse_args()
    if args.tls and not shutil.which('openssl'):
        print('0 passed, 0 failed, 1 skipped (there is no openssl)')
        return 77
    with tempfile.TemporaryDirectory() as folder:
        try_all(args, folder)
    print('%(passed)d passed, %(failed)d failed, %(skipped)d skipped' % counts)
    return 1 if counts['failed'] else 0


if __name__ == '__main__':
    sys.exit(main())
