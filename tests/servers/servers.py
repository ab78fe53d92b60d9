"""Real servers for tests, from this machine's packages: PostgreSQL, Redis and nginx, each in a folder of its own, on a
Unix socket or a free port of loopback, as an unprivileged user when root calls, stopped by process id."""
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time

LIMIT_S = 60  # for a server to come up


class NoServer(Exception):
    """It is not installed."""


class NoStart(Exception):
    """It is, but does not come up."""


def unprivileged():
    """Arguments for subprocess that give up root, if we have it."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam('nobody')
    return {'user': nobody.pw_uid, 'group': nobody.pw_gid, 'extra_groups': []}


def own_folder(path):
    """A folder for the server's user."""
    os.makedirs(path, mode=0o755, exist_ok=True)
    user = unprivileged()
    if user:
        os.chown(path, user['user'], user['group'])
    return path


def find(command, pattern=None):
    """A command in the PATH, in /usr/sbin, or in the newest of the folders that a package installs side by side."""
    def version(path):
        return [int(n) if n.isdigit() else 0 for n in path.split('/')[-2].split('.')]
    newest = max(glob.glob(pattern), key=version, default='') if pattern else ''
    path = shutil.which(command, path=os.pathsep.join(filter(None, [newest, os.environ.get('PATH', ''), '/usr/sbin'])))
    if not path:
        raise NoServer('there is no %s' % command)
    return path


def accepts(family, address):
    with socket.socket(family) as s:
        try:
            s.connect(address)
            return True
        except OSError:
            return False


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def certificate(folder):
    """The paths of a key and of its certificate, which signs itself, for 127.0.0.1; None without openssl."""
    try:
        openssl = find('openssl')
    except NoServer:
        return None
    key, root = os.path.join(folder, 'server.key'), os.path.join(folder, 'root.crt')
    subprocess.run(
        [openssl, 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost',
         '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', root],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, **unprivileged())
    os.chmod(key, 0o600)
    return key, root


class Server:
    """Started at birth; start() again after kill(). The folder is the caller's to remove after stop()."""

    stop_signal = signal.SIGTERM

    def __init__(self, folder):
        self.folder = own_folder(folder)
        self.log = os.path.join(folder, 'log')
        self.process = None
        self.set_up()
        self.start()

    def set_up(self):
        """What is done once."""

    def spawn(self, *words):
        env = {k: v for k, v in os.environ.items() if not k.startswith('PG')}
        with open(self.log, 'ab') as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env,
                                            cwd=self.folder, start_new_session=True, **unprivileged())
        end = time.monotonic() + LIMIT_S
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                with open(self.log, encoding='utf-8', errors='replace') as f:
                    raise NoStart('%s does not start: %s' % (words[0], f.read()[-800:]))
            time.sleep(0.02)

    def kill(self):
        """As if the machine had lost power."""
        self.process.kill()
        self.process.wait(LIMIT_S)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()


class Postgres(Server):
    """`settings` are postgresql.conf's, `hba` the text of pg_hba.conf (None: everybody is trusted)."""

    stop_signal = signal.SIGINT
    FOLDERS = '/usr/lib/postgresql/*/bin'

    def __init__(self, folder, user='search', hba=None, **settings):
        self.user, self.hba = user, hba
        self.settings = {'listen_addresses': '', 'port': 5432, 'unix_socket_directories': folder, 'fsync': 'off',
                         'synchronous_commit': 'off', 'full_page_writes': 'off', 'jit': 'off', **settings}
        super().__init__(folder)

    def set_up(self):
        self.psql = find('psql', self.FOLDERS)
        self.postgres = find('postgres', self.FOLDERS)
        self.data = os.path.join(self.folder, 'data')
        self.url = 'postgres://%s@/postgres?host=%s&port=%d' % (self.user, self.folder, self.settings['port'])
        if os.path.exists(self.data):
            return
        half = self.data + '.half'  # who stops us in the middle leaves nothing that looks whole
        shutil.rmtree(half, ignore_errors=True)
        made = subprocess.run([find('initdb', self.FOLDERS), '-D', half, '-U', self.user, '-A', 'trust', '-E', 'UTF8',
                               '--locale=C', '--no-sync'], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False, cwd=self.folder, timeout=120, **unprivileged())
        if made.returncode:
            raise NoStart('initdb failed: %s' % (made.stdout + made.stderr)[-800:])
        if self.hba is not None:
            with open(os.path.join(half, 'pg_hba.conf'), 'w', encoding='utf-8') as f:
                f.write(self.hba)
        os.rename(half, self.data)

    def start(self):
        self.spawn(self.postgres, '-D', self.data, *(w for item in self.settings.items() for w in ('-c', '%s=%s' % item)))

    def answers(self):
        path = os.path.join(self.folder, '.s.PGSQL.%d' % self.settings['port'])
        return accepts(socket.AF_UNIX, path) and self.query('SELECT 1', check=False) == '1'

    def query(self, sql, check=True):
        done = subprocess.run([self.psql, '-XAtq', self.url, '-c', sql], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, check=False, timeout=LIMIT_S)
        if check and done.returncode:
            raise AssertionError(done.stderr)
        return done.stdout.strip()


class Redis(Server):
    """With `tls` on a port, too, if it can: `tls_address` is where, or empty, root.crt in the folder whom to trust."""

    def __init__(self, folder, *flags, tls=False):
        self.flags, self.tls, self.tls_address = flags, tls, ''
        super().__init__(folder)

    def set_up(self):
        self.path = os.path.join(self.folder, 'redis.sock')
        self.url = 'unix://' + self.path
        made = certificate(self.folder) if self.tls and self.has_tls() else None
        if made:
            port = free_port()
            self.tls_address = '127.0.0.1:%d' % port
            self.flags += ('--bind', '127.0.0.1', '--tls-port', str(port), '--tls-key-file', made[0], '--tls-cert-file',
                           made[1], '--tls-auth-clients', 'no')

    @staticmethod
    def has_tls():
        """Whether it was built with it: another would not start."""
        libraries = subprocess.run(['ldd', find('redis-server')], capture_output=True, text=True, check=False).stdout
        return 'libssl' in libraries

    def start(self):
        self.spawn(find('redis-server'), '--port', '0', '--unixsocket', self.path, '--unixsocketperm', '777', '--save', '',
                   '--appendonly', 'no', '--dir', self.folder, *self.flags)

    def answers(self):
        return accepts(socket.AF_UNIX, self.path)

    def command(self, *words):
        """One command; the raw reply."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(LIMIT_S)
            s.connect(self.path)
            s.sendall(b'*%d\r\n' % len(words) + b''.join(b'$%d\r\n%s\r\n' % (len(w.encode()), w.encode()) for w in words))
            return s.recv(1 << 20)


class Nginx(Server):
    """Files from `folder`/files under /files/, slowly under /slow/."""

    CONFIG = '''daemon off; master_process off; worker_processes 1; error_log stderr; pid nginx.pid;
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

    def set_up(self):
        self.nginx = find('nginx')
        with open(os.path.join(own_folder(os.path.join(self.folder, 'files')), 'big'), 'wb') as f:
            f.write(bytes(i * 7 % 251 for i in range(1 << 20)))
        self.port = free_port()
        self.config = os.path.join(self.folder, 'nginx.conf')
        with open(self.config, 'w', encoding='utf-8') as f:
            f.write(self.CONFIG % (self.port, self.folder, self.folder))

    def start(self):
        self.spawn(self.nginx, '-p', self.folder, '-e', 'stderr', '-c', self.config)

    def answers(self):
        return accepts(socket.AF_INET, ('127.0.0.1', self.port))
