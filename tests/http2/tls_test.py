#!/usr/bin/env python3
"""Our HTTP/2 client over TLS against nghttpd: ALPN, and many streams whose bodies are larger than their windows.

    tls_test.py CLIENT
"""
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time


def main():
    for program in ('nghttpd', 'openssl'):
        if not shutil.which(program):
            print('0 passed, 0 failed, 1 skipped (there is no %s)' % program)
            return 77
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        key, certificate = os.path.join(folder, 'key'), os.path.join(folder, 'cert')
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj',
                        '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out',
                        certificate], check=True, stderr=subprocess.DEVNULL)
        with open(os.path.join(folder, 'page'), 'wb') as f:
            f.write(b'p' * 200000)
        with socket.create_server(('127.0.0.1', 0)) as free:
            port = free.getsockname()[1]
        server = subprocess.Popen(['nghttpd', '-a', '127.0.0.1', '-d', folder, str(port), key, certificate],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while server.poll() is None:
                try:
                    socket.create_connection(('127.0.0.1', port)).close()
                    break
                except OSError:
                    time.sleep(0.02)
            done = subprocess.run([*os.environ.get('HARNESS_EMULATOR', '').split(), sys.argv[1],
                                   'localhost:%d' % port, certificate, '/page'], timeout=120,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        finally:
            server.terminate()
            server.wait()
    ok = done.returncode == 0 and done.stdout == b'h2\nsuccess, 200000 bytes each\n'
    print('ok    101 requests over TLS' if ok else 'FAIL  %r' % ((done.stdout, done.stderr),))
    print('%d passed, %d failed, 0 skipped' % (ok, not ok))
    return 0 if ok else 1


if __name__ == '__main__':
    sys.exit(main())
