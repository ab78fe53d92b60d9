#!/usr/bin/env python3
"""Drives examples/tls_echo.c against OpenSSL's own client and server: out to find what two ends of the
same code agree on and nobody else does.

    peers_test.py EXAMPLE
"""
import os
import shutil
import signal
import subprocess
import sys
import tempfile

failures = 0
cases = 0
EMULATOR = os.environ.get('HARNESS_EMULATOR', '').split()


def check(name, condition, detail=''):
    global failures, cases
    cases += 1
    if not condition:
        failures += 1
    print('%-5s %s%s' % ('ok' if condition else 'FAIL', name, '' if condition else ': %s' % (detail,)))


def run(*args, text=''):
    done = subprocess.run(args, input=text, timeout=60, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True)
    return done.returncode, done.stdout, done.stderr


def s_client(address, *args, talk=(('hello\n', 'hello\n'),)):
    """Says each line, and reads until the answer to it has come; then the end of the input ends it."""
    with subprocess.Popen(['openssl', 's_client', '-connect', address, '-verify_return_error', *args],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True) as client:
        out = ''
        for said, answer in talk:
            client.stdin.write(said)
            client.stdin.flush()
            for line in client.stdout:
                out += line
                if out.endswith(answer):
                    break
        client.stdin.close()
        out += client.stdout.read()
    return client.returncode, out


def server_side(example, folder):
    cert, key = folder + '/cert.pem', folder + '/key.pem'
    server = subprocess.Popen([*EMULATOR, example, 'serve', cert, key], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, universal_newlines=True)
    try:
        address = server.stdout.readline().strip()
        trust = ['-CAfile', cert, '-verify_hostname', 'localhost', '-servername', 'localhost']
        for version in ('-tls1_2', '-tls1_3'):
            code, out = s_client(address, *trust, version)
            check('s_client %s is echoed' % version, code == 0 and out.count('hello\n') == 1 and
                  'Verify return code: 0 (ok)' in out, (code, out))
        code, out, err = run('openssl', 's_client', '-connect', address, *trust, '-tls1_1', '-cipher',
                             'DEFAULT:@SECLEVEL=0')
        check('TLS 1.1 is refused', code != 0 and 'alert protocol version' in out + err, (out, err))
        code, out = s_client(address, *trust, '-alpn', 'other,echo/1')
        check('a protocol is agreed on', 'ALPN protocol: echo/1' in out, out)
        code, out, err = run('openssl', 's_client', '-connect', address, *trust, '-alpn', 'other')
        check('without a common protocol there is none', 'alert no application protocol' in out + err,
              (out, err))
        session = folder + '/session'
        s_client(address, *trust, '-sess_out', session)
        code, out = s_client(address, *trust, '-sess_in', session)
        check('a session of TLS 1.3 is taken up again', 'Reused, TLSv1.3' in out, out)
        s_client(address, *trust, '-tls1_2', '-sess_out', session)
        code, out = s_client(address, *trust, '-tls1_2', '-sess_in', session)
        check('a session of TLS 1.2 is taken up again', 'Reused, TLSv1.2' in out, out)
        code, out = s_client(address, *trust, '-tls1_3', talk=(('K\n', 'KEYUPDATE\n'),
                                                              ('hello\n', 'hello\n')))
        check('a change of keys in the middle is answered', code == 0 and 'KEYUPDATE' in out and
              out.count('hello\n') == 1, (code, out))
        code, out, err = run(*EMULATOR, example, 'ask', address, 'other.example', cert, 'x')
        check('our client refuses another name in words', code == 1 and err ==
              'certificate: hostname mismatch: it is for localhost, 127.0.0.1\n', (code, err))
        code, out, err = run(*EMULATOR, example, 'ask', address, '127.0.0.1', cert, 'round')
        check('our client is served, too', code == 0 and out == 'protocol: echo/1\nround\n', (code, err))
    finally:
        server.send_signal(signal.SIGTERM)
        _, err = server.communicate(timeout=60)
    check('a signal ends the server, which says so', server.returncode == 0 and
          err.endswith('SIGTERM\n'), (server.returncode, err))
    check('the server was told why a client refused', 'the peer says: ' in err, err)


def client_side(example, folder):
    cert, key = folder + '/cert.pem', folder + '/key.pem'
    for version in ('-tls1_2', '-tls1_3'):
        peer = subprocess.Popen(['openssl', 's_server', '-accept', '127.0.0.1:0', '-cert', cert, '-key',
                                 key, '-rev', '-alpn', 'echo/1', version], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                universal_newlines=True)
        try:
            line = ''
            while not line.startswith('ACCEPT'):
                line = peer.stdout.readline()
                if not line:
                    break
            address = line.split()[-1] if line else ''
            code, out, err = run(*EMULATOR, example, 'ask', address, 'localhost', cert, 'abc')
            check('s_server %s answers our client' % version, code == 0 and
                  out == 'protocol: echo/1\ncba\n', (code, out, err, address))
        finally:
            peer.kill()
            peer.communicate()


def main():
    if not shutil.which('openssl'):
        print('0 passed, 0 failed, 1 skipped (there is no openssl)')
        return 77
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
                        'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', folder + '/key.pem', '-out',
                        folder + '/cert.pem', '-days', '1', '-subj', '/CN=test', '-addext',
                        'subjectAltName=DNS:localhost,IP:127.0.0.1'], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        server_side(sys.argv[1], folder)
        client_side(sys.argv[1], folder)
    print('%d passed, %d failed, 0 skipped' % (cases - failures, failures))
    return 1 if failures else 0


sys.exit(main())
