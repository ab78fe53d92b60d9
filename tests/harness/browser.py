"""A real browser for tests of pages: Chromium, through its driver's own protocol (W3C WebDriver)."""
import base64
import http.client
import json
import os
import re
import shutil
import subprocess

ENTER, ESCAPE = '\ue007', '\ue00c'


class NoBrowser(Exception):
    """Why there is none."""


class Browser:
    """One headless window, whose profile lives in `folder`. Raises NoBrowser where none can be had."""

    def __init__(self, folder, width=1280, height=900):
        if not shutil.which('chromedriver') or (os.geteuid() == 0 and not shutil.which('setpriv')):
            raise NoBrowser('there is no chromedriver')
        try:
            self.start(folder, width, height)
        except (OSError, RuntimeError, TypeError) as error:
            raise NoBrowser('the browser does not start here: %s' % str(error)[:200]) from error

    def start(self, folder, width, height):
        words = ['chromedriver', '--port=0']
        if os.geteuid() == 0:  # a browser is not run as root
            shutil.chown(folder, 'nobody')
            words = ['setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups', *words]
        env = {**os.environ, 'HOME': folder, 'TMPDIR': folder, 'XDG_RUNTIME_DIR': folder, 'no_proxy': '*'}
        self.driver = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, cwd=folder)
        self.port = None
        for line in self.driver.stdout:
            match = re.search(rb'started successfully on port (\d+)', line)
            if match:
                self.port = int(match[1])
                break
        args = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-proxy-server',
                '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run',
                '--hide-scrollbars', '--window-size=%d,%d' % (width, height), '--user-data-dir=' + os.path.join(folder, 'profile')]
        reply = self.call('POST', '/session', {'capabilities': {'alwaysMatch': {
            'goog:chromeOptions': {'args': args}}}})
        self.session = '/session/' + reply['sessionId']

    def call(self, method, path, body=None):
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=120)
        connection.request(method, path, None if body is None else json.dumps(body),
                           {'Content-Type': 'application/json'})
        reply = connection.getresponse()
        value = json.loads(reply.read())['value']
        if reply.status != 200:
            raise RuntimeError(value.get('message', value))
        return value

    def open(self, url):
        self.call('POST', self.session + '/url', {'url': url})

    def run(self, script):
        return self.call('POST', self.session + '/execute/sync', {'script': script, 'args': []})

    def element(self, selector):
        found = self.call('POST', self.session + '/element', {'using': 'css selector', 'value': selector})
        return self.session + '/element/' + next(iter(found.values()))

    def click(self, selector):
        self.call('POST', self.element(selector) + '/click', {})

    def type(self, selector, text):
        """Keys into an element; ENTER and ESCAPE are below."""
        self.call('POST', self.element(selector) + '/value', {'text': text})

    def press(self, key):
        """A key to whatever has the focus."""
        actions = [{'type': kind, 'value': key} for kind in ('keyDown', 'keyUp')]
        self.call('POST', self.session + '/actions', {'actions': [{'type': 'key', 'id': 'keys', 'actions': actions}]})

    def resize(self, width, height):
        """The page's own size, as a phone would have it."""
        self.call('POST', self.session + '/goog/cdp/execute', {'cmd': 'Emulation.setDeviceMetricsOverride', 'params': {
            'width': width, 'height': height, 'deviceScaleFactor': 1, 'mobile': False}})

    def back(self):
        self.call('POST', self.session + '/back', {})

    def picture(self, path):
        with open(path, 'wb') as file:
            file.write(base64.b64decode(self.call('GET', self.session + '/screenshot')))

    def text(self):
        return self.run('return document.body.innerText')

    def close(self):
        try:
            self.call('DELETE', self.session)
        finally:
            self.driver.terminate()
            self.driver.wait(timeout=60)
