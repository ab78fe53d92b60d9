"""Real servers for tests: PostgreSQL and Redis, each on a Unix socket in a folder of its own, as an unprivileged
user, stopped by process id."""
import glob
import os
import shutil
import signal
import socket
import subprocess
import time


class NoServer(Exception):
    """Why there is none."""


def unprivileged():
    """For subprocess: nobody, where root runs this."""
    return {'user': 65534, 'group': 65534, 'extra_groups': []} if os.geteuid() == 0 else {}


def find(command, *folders):
    """The newest of a command's versions, as Debian installs them side by side, or the one in the PATH."""
    found = [p for f in folders for p in glob.glob(os.path.join(f, command)) if os.access(p, os.X_OK)]
    path = max(found, key=lambda p: [int(n) for n in p.split('/') if n.isdigit()]) if found else shutil.which(command)
    if not path:
        raise NoServer('there is no %s' % command)
    return path


class Server:
    """`folder` is made, and is the caller's to remove after stop()."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        if os.geteuid() == 0:
            os.chown(folder, 65534, 65534)
        self.log = open(os.path.join(folder, 'log'), 'ab')
        self.process = None
        self.start()

    def spawn(self, *words):
        env = {k: v for k, v in os.environ.items() if not k.startswith('PG')}
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=env,
                                        cwd=self.folder, start_new_session=True, **unprivileged())
        end = time.monotonic() + 60
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > end:
                with open(self.log.name, encoding='utf-8', errors='replace') as f:
                    raise NoServer('%s does not start: %s' % (words[0], f.read()[-500:]))
            time.sleep(0.02)

    def connects(self, path):
        with socket.socket(socket.AF_UNIX) as s:
            try:
                s.connect(path)
                return True
            except OSError:
                return False

    def kill(self):
        """As if the machine had lost power."""
        self.process.kill()
        self.process.wait(60)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(self.STOP)
            self.process.wait(60)
        self.log.close()


class Postgres(Server):
    STOP = signal.SIGINT

    def start(self):
        folders = ['/usr/lib/postgresql/*/bin']
        self.psql = find('psql', *folders)
        data = os.path.join(self.folder, 'data')
        if not os.path.exists(data):
            subprocess.run([find('initdb', *folders), '-D', data, '-U', 'search', '-A', 'trust', '-E', 'UTF8', '--locale=C',
                            '--no-sync'], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, check=True,
                           cwd=self.folder, timeout=120, **unprivileged())
        self.url = 'postgres://search@/postgres?host=' + self.folder
        self.spawn(find('postgres', *folders), '-D', data, '-k', self.folder, '-c', 'listen_addresses=', '-c', 'fsync=off')

    def answers(self):
        return self.connects(os.path.join(self.folder, '.s.PGSQL.5432')) and self.query('SELECT 1', check=False) == '1'

    def query(self, sql, check=True):
        done = subprocess.run([self.psql, '-XAtq', self.url, '-c', sql], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, check=False, timeout=60)
        if check and done.returncode:
            raise AssertionError(done.stderr)
        return done.stdout.strip()


class Redis(Server):
    STOP = signal.SIGTERM

    def start(self):
        self.path = os.path.join(self.folder, 'redis.sock')
        self.url = 'unix://' + self.path
        self.spawn(find('redis-server'), '--port', '0', '--unixsocket', self.path, '--save', '', '--appendonly', 'no')

    def answers(self):
        return self.connects(self.path)

    def command(self, *words):
        """One command; the raw reply."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(60)
            s.connect(self.path)
            s.sendall(b'*%d\r\n' % len(words) + b''.join(b'$%d\r\n%s\r\n' % (len(w.encode()), w.encode()) for w in words))
            return s.recv(1 << 20)
