#!/usr/bin/env python3
"""Drives the HTTP server with curl, as people do: out to find what a strict server refuses that a real
client sends, and what it leaves behind when curl gives up.

    curl_test.py SERVER
"""
import os
import shutil
import signal
import subprocess
import sys
import tempfile

failures = 0
cases = 0


def check(name, condition, detail=''):
    global failures, cases
    cases += 1
    if not condition:
        failures += 1
    print('%-5s %s%s' % ('ok' if condition else 'FAIL', name, '' if condition else ': %s' % detail))


def curl(*args, data=None):
    done = subprocess.run(['curl', '-sS', '--noproxy', '*', *args], input=data, timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return done.returncode, done.stdout


def main():
    if not shutil.which('curl'):
        print('0 passed, 0 failed, 1 skipped (there is no curl)')
        return 77
    server = subprocess.Popen([*os.environ.get("HARNESS_EMULATOR", "").split(), sys.argv[1]], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    url = 'http://' + server.stdout.readline().decode().strip()
    big = os.urandom(3 * 1000 * 1000)
    with tempfile.NamedTemporaryFile() as f:
        f.write(big)
        f.flush()
        code, out = curl(url + '/hello', url + '/hello', '-w', '%{num_connects}\n')
        check('keep-alive takes one connection for two', out.endswith(b'0\n') and
              out.count(b'Hello, world\n') == 2, out)
        code, out = curl('-I', url + '/hello')
        check('HEAD has a length and no body', b'Content-Length: 13\r\n' in out, out)
        code, out = curl('-0', url + '/hello')
        check('HTTP/1.0 is answered', out == b'Hello, world\n', out)
        code, out = curl('--data-binary', '@' + f.name, '-H', 'Expect: 100-continue', url + '/echo')
        check('a large body with Expect comes back', out == big, len(out))
        code, out = curl('-T', f.name, '-H', 'Transfer-Encoding: chunked', url + '/echo')
        check('a chunked upload comes back', out == big, len(out))
        code, out = curl('-o', os.devnull, '-w', '%{http_code}', '--path-as-is', url + '/a/../hello')
        check('dot segments are refused', out == b'400', out)
        code, out = curl('-o', os.devnull, '-w', '%{http_code}', '-H',
                         'X-Request-Timeout-Ms: 20', url + '/wait')
        check('a deadline is 504', out == b'504', out)
        code, out = curl('--max-time', '0.1', url + '/wait')
        check('curl gives up', code == 28, code)
        waiting = subprocess.Popen(['curl', '-s', '-o', os.devnull, '-w', '%{http_code}',
                                    '--noproxy', '*', url + '/wait'], stdout=subprocess.PIPE)
        lines = []
        while not any(b' 499 ' in line for line in lines):
            lines.append(server.stderr.readline())
        check('its request is 499 in the log', b'GET /wait 499 the client went away\n' in lines, lines)
        server.send_signal(signal.SIGTERM)
        out, _ = waiting.communicate(timeout=30)
        check('a request in the way of the stop is 503, or never began', out in (b'503', b'000'), out)
        out, err = server.communicate(timeout=30)
        check('SIGTERM ends it with nothing left', server.returncode == 0, (out, err))
    print('%d passed, %d failed, 0 skipped' % (cases - failures, failures))
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
