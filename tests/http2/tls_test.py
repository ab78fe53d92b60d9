#!/usr/bin/env python3
"""Our HTTP/2 clients over TLS against servers that others have written: ALPN, many streams whose bodies are larger than
their windows, servers that take few at a time and that say goodbye every few requests.

    tls_test.py CLIENT
"""
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

PREFIX = os.environ.get('HARNESS_EMULATOR', '').split()
CALLS = 1000 # of the client that keeps its connections
passed = failed = skipped = 0


def check(name, condition, detail):
    global passed, failed
    passed += bool(condition)
    failed += not condition
    print('ok    ' + name if condition else 'FAIL  %s: %r' % (name, detail))


class Server:
    """A server's process; `port` is known to be free before."""

    def __init__(self, command, port):
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while self.process.poll() is None:
            try:
                socket.create_connection(('127.0.0.1', port)).close()
                break
            except OSError:
                time.sleep(0.02)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as free:
        return free.getsockname()[1]


def ask(port, certificate, path, *more):
    done = subprocess.run([*PREFIX, sys.argv[1], 'localhost:%d' % port, certificate, path, *more], timeout=120,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return done.returncode, done.stdout + done.stderr


def pooled(name, port, certificate, path, http2, connections):
    """Every call must succeed, over HTTP/2 or over HTTP/1.1, and with so many connections (a range)."""
    code, out = ask(port, certificate, path, 'pool')
    wanted = 'success: %d by HTTP/2, %d by HTTP/1.1, ' % ((CALLS, 0) if http2 else (0, CALLS))
    number = re.search(r'(\d+) connections', out)
    check(name, code == 0 and out.startswith(wanted) and number and int(number[1]) in connections, (code, out))


def with_nghttpd(folder, key, certificate):
    command = ['nghttpd', '-a', '127.0.0.1', '-d', folder]
    port = free_port()
    with Server(command + [str(port), key, certificate], port):
        code, out = ask(port, certificate, '/page')
        check('101 requests over TLS', code == 0 and out == 'h2\nsuccess, 200000 bytes each\n', (code, out))
        pooled('1,000 calls share a connection', port, certificate, '/small', True, range(1, 2))
    port = free_port()
    with Server(command + ['-m', '10', str(port), key, certificate], port):
        pooled('where a server takes ten at a time', port, certificate, '/small', True, range(1, 8))


NGINX = '''
daemon off; worker_processes 1; pid %(folder)s/pid; error_log %(folder)s/errors;
events { worker_connections 1024; }
http {
    access_log off; client_body_temp_path %(folder)s/b; proxy_temp_path %(folder)s/p; fastcgi_temp_path %(folder)s/f;
    uwsgi_temp_path %(folder)s/u; scgi_temp_path %(folder)s/s;
    ssl_certificate %(certificate)s; ssl_certificate_key %(key)s; keepalive_requests 7;
    server { listen 127.0.0.1:%(two)d ssl http2; location / { return 200 "hello"; } }
    server { listen 127.0.0.1:%(one)d ssl; location / { return 200 "hello"; } }
}
'''


def with_nginx(folder, key, certificate):
    one, two = free_port(), free_port()
    conf = os.path.join(folder, 'conf')
    with open(conf, 'w') as f:
        f.write(NGINX % {'folder': folder, 'certificate': certificate, 'key': key, 'one': one, 'two': two})
    with Server(['nginx', '-c', conf], two):
        pooled('where a server says goodbye after seven', two, certificate, '/', True, range(CALLS // 7, CALLS))
        pooled('where it speaks HTTP/1.1 only', one, certificate, '/', False, range(CALLS // 7, CALLS))


def main():
    global skipped
    if not shutil.which('openssl'):
        print('0 passed, 0 failed, 1 skipped (there is no openssl)')
        return 77
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        key, certificate = os.path.join(folder, 'key'), os.path.join(folder, 'cert')
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj',
                        '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out',
                        certificate], check=True, stderr=subprocess.DEVNULL)
        for name, size in (('page', 200000), ('small', 10)):
            with open(os.path.join(folder, name), 'wb') as f:
                f.write(b'p' * size)
        for program, run in (('nghttpd', with_nghttpd), ('nginx', with_nginx)):
            if shutil.which(program):
                run(folder, key, certificate)
            else:
                skipped += 1
    print('%d passed, %d failed, %d skipped' % (passed, failed, skipped))
    return 1 if failed else 0 if passed else 77


if __name__ == '__main__':
    sys.exit(main())
