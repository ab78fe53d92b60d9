#!/usr/bin/env python3
"""Runs a program beside real servers, which it starts from this machine's packages and stops by their pid.

    with_servers.py SERVER… -- PROGRAM ARGUMENT…

Servers: pg, redis, nginx. Each listens on a Unix socket in a folder of its own, or a free port of loopback, as an unprivileged user when root calls. The program finds them by its environment:

    CEASE_TEST_PG=/tmp/…/pg              the folder of PostgreSQL's socket; user and database are "cease". PGPORT says
                                         which port that is, on 127.0.0.1 too, with TLS: root.crt in that folder
    CEASE_TEST_REDIS=/tmp/…/redis.sock   Redis's socket
    CEASE_TEST_NGINX=127.0.0.1:PORT      nginx

An empty value says that the server is not installed. The status is the program's.
"""
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

LIMIT_S = 60  # for a server to come up


def unprivileged():
    """Arguments of Popen that give up root, if we have it."""
    if os.getuid() != 0:
        return {}
    nobody = pwd.getpwnam('nobody')
    return {'user': nobody.pw_uid, 'group': nobody.pw_gid, 'extra_groups': []}


def folder_for(base, name):
    path = os.path.join(base, name)
    os.mkdir(path, 0o755)
    if os.getuid() == 0:
        nobody = pwd.getpwnam('nobody')
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    return path


def newest(pattern):
    """The newest version's folder of a package that installs several side by side."""
    def version(path):
        return [int(n) if n.isdigit() else 0 for n in path.split('/')[-2].split('.')]
    found = glob.glob(pattern)
    return max(found, key=version) if found else None


def program(name, *folders):
    path = os.pathsep.join([os.environ.get('PATH', ''), '/usr/sbin', *filter(None, folders)])
    return shutil.which(name, path=path)


def wait_until(up, process, log, what):
    end = time.monotonic() + LIMIT_S
    while not up():
        if process.poll() is not None or time.monotonic() > end:
            with open(log, encoding='utf-8', errors='replace') as f:
                sys.exit('with_servers: %s did not start:\n%s' % (what, f.read()))
        time.sleep(0.02)


def accepts(family, address):
    try:
        with socket.socket(family, socket.SOCK_STREAM) as s:
            s.connect(address)
        return True
    except OSError:
        return False


def start(command, folder, name, **more):
    log = os.path.join(folder, name + '.log')
    with open(log, 'wb') as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                   cwd=folder, start_new_session=True, **unprivileged(), **more)
    return process, log


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def make_certificate(home):
    """PostgreSQL's settings for TLS with a certificate that signs itself; none without openssl."""
    openssl = program('openssl')
    if not openssl:
        return {}
    key, certificate = os.path.join(home, 'server.key'), os.path.join(home, 'root.crt')
    subprocess.run(
        [openssl, 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost',
         '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', certificate],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True,
        **unprivileged())
    os.chmod(key, 0o600)
    return {'ssl': 'on', 'ssl_key_file': key, 'ssl_cert_file': certificate}


def start_pg(base):
    folder = newest('/usr/lib/postgresql/*/bin')
    initdb, postgres = program('initdb', folder), program('postgres', folder)
    if not initdb or not postgres:
        return None, ''
    home = folder_for(base, 'pg')
    data = os.path.join(home, 'data')
    made = subprocess.run(
        [initdb, '-D', data, '-U', 'cease', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=home,
        check=False, **unprivileged())
    if made.returncode != 0:
        sys.exit('with_servers: initdb failed:\n%s' % made.stdout.decode(errors='replace'))
    # "secret" needs its password, so that a refusal can be seen.
    with open(os.path.join(data, 'pg_hba.conf'), 'w', encoding='utf-8') as f:
        f.write('local all secret scram-sha-256\nlocal all all trust\n'
                'hostssl all all 127.0.0.1/32 scram-sha-256\n')
    port = free_port()
    settings = {
        'listen_addresses': '127.0.0.1', 'port': port, 'unix_socket_directories': home, 'fsync': 'off',
        'synchronous_commit': 'off', 'full_page_writes': 'off', 'shared_buffers': '16MB',
        'max_connections': '60', 'autovacuum': 'off', 'log_min_messages': 'panic', 'jit': 'off',
        **make_certificate(home),
    }
    os.environ['PGPORT'] = str(port)
    options = [word for item in settings.items() for word in ('-c', '%s=%s' % item)]
    process, log = start([postgres, '-D', data, *options], home, 'postgres')
    address = os.path.join(home, '.s.PGSQL.%d' % port)
    psql = program('psql', folder)

    def up():
        return accepts(socket.AF_UNIX, address) and subprocess.run(
            [psql, '-h', home, '-U', 'cease', '-d', 'postgres', '-qc', 'CREATE DATABASE cease', '-c',
             "CREATE ROLE secret LOGIN PASSWORD 'open sesame'"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            check=False).returncode == 0
    wait_until(up, process, log, 'PostgreSQL')
    return (process, signal.SIGQUIT), home


def start_redis(base):
    server = program('redis-server')
    if not server:
        return None, ''
    home = folder_for(base, 'redis')
    address = os.path.join(home, 'redis.sock')
    process, log = start(
        [server, '--port', '0', '--unixsocket', address, '--unixsocketperm', '777', '--save', '',
         '--appendonly', 'no', '--dir', home, '--enable-debug-command', 'yes'], home, 'redis')
    wait_until(lambda: accepts(socket.AF_UNIX, address), process, log, 'Redis')
    return (process, signal.SIGKILL), address


NGINX = '''daemon off; master_process off; worker_processes 1; error_log stderr; pid nginx.pid;
events { worker_connections 256; }
http {
    access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi; client_max_body_size 64m;
    server {
        listen 127.0.0.1:%d;
        location = /hello { return 200 "hello, world\\n"; }
        location = /gone { return 410 "gone\\n"; }
        location = /moved { return 302 /hello; }
        location /files/ { alias %s/files/; dav_methods PUT; client_body_in_file_only off; }
        location /slow/ { alias %s/files/; limit_rate 1000; }
    }
}
'''


def start_nginx(base):
    server = program('nginx')
    if not server:
        return None, ''
    home = folder_for(base, 'nginx')
    files = folder_for(home, 'files')
    with open(os.path.join(files, 'big'), 'wb') as f:
        f.write(bytes(i * 7 % 251 for i in range(1 << 20)))
    port = free_port()
    config = os.path.join(home, 'nginx.conf')
    with open(config, 'w', encoding='utf-8') as f:
        f.write(NGINX % (port, home, home))
    process, log = start([server, '-p', home, '-e', 'stderr', '-c', config], home, 'nginx')
    wait_until(lambda: accepts(socket.AF_INET, ('127.0.0.1', port)), process, log, 'nginx')
    return (process, signal.SIGTERM), '127.0.0.1:%d' % port


STARTS = {'pg': start_pg, 'redis': start_redis, 'nginx': start_nginx}


def stop(process, how):
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def main():
    if '--' not in sys.argv:
        sys.exit(__doc__)
    split = sys.argv.index('--')
    # A signal that ends us has to stop the servers as well.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda n, frame: sys.exit(128 + n))
    base = tempfile.mkdtemp(prefix='cease-servers-')
    os.chmod(base, 0o755)
    running = []
    try:
        for name in sys.argv[1:split]:
            server, address = STARTS[name](base)
            os.environ['CEASE_TEST_' + name.upper()] = address
            if server:
                running.append(server)
        return subprocess.run(sys.argv[split + 1:], check=False).returncode
    finally:
        for process, how in reversed(running):
            stop(process, how)
        shutil.rmtree(base, ignore_errors=True)


if __name__ == '__main__':
    status = main()
    sys.exit(status if status >= 0 else 128 - status)
