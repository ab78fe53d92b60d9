#!/usr/bin/env python3
"""Runs a program beside real servers, which it starts from this machine's packages and stops by their pid.

    with_servers.py SERVER… -- PROGRAM ARGUMENT…

Servers: pg, redis, nginx. Each listens on a Unix socket in a folder of its own, or a free port of loopback, as an unprivileged user when root calls. The program finds them by its environment:

    CEASE_TEST_PG=/tmp/…/pg              the folder of PostgreSQL's socket; user and database are "cease". PGPORT says
                                         which port that is, on 127.0.0.1 too, with TLS: root.crt in that folder
    CEASE_TEST_REDIS=/tmp/…/redis.sock   Redis's socket; CEASE_TEST_REDIS_TLS=127.0.0.1:PORT is the same server with TLS,
                                         root.crt beside the socket; empty when one of both has no TLS
    CEASE_TEST_NGINX=127.0.0.1:PORT      nginx

An empty value says that the server is not installed. The status is the program's.
"""
import os
import shutil
import signal
import subprocess
import sys
import tempfile

from servers import Nginx, NoServer, NoStart, Postgres, Redis, certificate, free_port, own_folder

# "secret" needs its password, so that a refusal can be seen.
HBA = 'local all secret scram-sha-256\nlocal all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n'


def tls_settings(folder):
    """PostgreSQL's; none without openssl."""
    made = certificate(folder)
    return {'ssl': 'on', 'ssl_key_file': made[0], 'ssl_cert_file': made[1]} if made else {}


def start_pg(base):
    folder, port = own_folder(os.path.join(base, 'pg')), free_port()
    server = Postgres(folder, 'cease', HBA, listen_addresses='127.0.0.1', port=port, shared_buffers='16MB',
                      max_connections=60, autovacuum='off', log_min_messages='panic', **tls_settings(folder))
    server.stop_signal = signal.SIGQUIT
    server.query('CREATE DATABASE cease')
    server.query("CREATE ROLE secret LOGIN PASSWORD 'open sesame'")
    os.environ['PGPORT'] = str(port)
    return server, folder


def start_redis(base):
    server = Redis(os.path.join(base, 'redis'), '--enable-debug-command', 'yes', tls=True)
    server.stop_signal = signal.SIGKILL
    os.environ['CEASE_TEST_REDIS_TLS'] = server.tls_address
    return server, server.path


def start_nginx(base):
    server = Nginx(os.path.join(base, 'nginx'))
    return server, '127.0.0.1:%d' % server.port


STARTS = {'pg': start_pg, 'redis': start_redis, 'nginx': start_nginx}


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
            try:
                server, address = STARTS[name](base)
                running.append(server)
            except NoServer:
                address = ''
            os.environ['CEASE_TEST_' + name.upper()] = address
        return subprocess.run(sys.argv[split + 1:], check=False).returncode
    except NoStart as e:
        sys.exit('with_servers: %s' % e)
    finally:
        for server in reversed(running):
            server.stop()
        shutil.rmtree(base, ignore_errors=True)


if __name__ == '__main__':
    status = main()
    sys.exit(status if status >= 0 else 128 - status)
