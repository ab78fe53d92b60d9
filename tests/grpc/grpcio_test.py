#!/usr/bin/env python3
"""gRPC with another implementation, grpcio of Debian's python3-grpcio: its client against our server, our
client against its server. Messages are bytes, so no generated code is needed.

    grpcio_test.py SERVER CLIENT

Without grpcio it says so and skips. Python of the PATH may be another one than Debian's, so that is tried too.
"""
import os
import signal
import subprocess
import sys
import threading
from concurrent import futures

try:
    import grpc
except ImportError:
    if sys.executable != '/usr/bin/python3' and os.access('/usr/bin/python3', os.X_OK):
        os.execv('/usr/bin/python3', ['/usr/bin/python3', *sys.argv])
    print('0 passed, 0 failed, 1 skipped (there is no grpcio)')
    sys.exit(77)

counts = {'passed': 0, 'failed': 0}
EMULATOR = os.environ.get('HARNESS_EMULATOR', '').split()


def check(name, condition, detail=''):
    counts['passed' if condition else 'failed'] += 1
    print('%-5s %s%s' % ('ok' if condition else 'FAIL', name, '' if condition else ': %r' % (detail,)))


# ---- their client, our server ----


class Server:
    """Our server, and what it logs."""

    def __init__(self, path):
        self.process = subprocess.Popen([*EMULATOR, path], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        self.address = self.process.stdout.readline().decode().strip()
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
        with self.more:
            self.more.wait_for(lambda: self.ended or any(text in line for line in self.log), timeout=60)
            return next((line for line in self.log if text in line), None)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)
        self.reader.join()
        return self.process.returncode, self.process.stdout.read()


def status_of(call):
    """The status of what must fail."""
    try:
        result = call()
        return None, result
    except grpc.RpcError as e:
        return e.code(), e.details()


def their_client(path):
    server = Server(path)
    with grpc.insecure_channel(server.address) as channel:
        unary = channel.unary_unary('/test.Echo/Unary')
        check('a unary call comes back', unary(b'hello', timeout=20) == b'hello')
        check('and one of 90 KB', unary(b'p' * 90000, timeout=20) == b'p' * 90000)
        sent = (('say', 'it'), ('data-bin', b'\0\xff\n'))
        answer, call = unary.with_call(b'x', metadata=sent, timeout=20)
        head, tail = dict(call.initial_metadata()), dict(call.trailing_metadata())
        check('metadata come back in the head', head.get('say') == 'it' and
              head.get('data-bin') == b'\0\xff\n', head)
        check('and in the trailers', tail.get('t-say') == 'it' and
              tail.get('t-data-bin') == b'\0\xff\n', tail)
        code, text = status_of(lambda: channel.unary_unary('/test.Echo/Fail')(
            '50% grün'.encode(), timeout=20))
        check('a status comes with its text', code == grpc.StatusCode.FAILED_PRECONDITION and
              text == 'no: 50% grün', (code, text))
        code, text = status_of(lambda: unary(b'p' * 100001, timeout=20))
        check('a message above the most is RESOURCE_EXHAUSTED',
              code == grpc.StatusCode.RESOURCE_EXHAUSTED, (code, text))
        code, text = status_of(lambda: channel.unary_unary('/test.Echo/Nothing')(b'', timeout=20))
        check('a method that is not there is UNIMPLEMENTED',
              code == grpc.StatusCode.UNIMPLEMENTED, (code, text))
        packed = channel.stream_stream('/test.Echo/Packed')
        call = packed(iter([b'p' * 90000]), compression=grpc.Compression.Gzip, timeout=20)
        check('messages in gzip are unpacked, and come back in it', list(call) == [b'p' * 90000] and
              dict(call.initial_metadata()).get('grpc-encoding') in (None, 'gzip'), call)
        code, text = status_of(lambda: unary(b'p' * 90000, compression=grpc.Compression.Deflate, timeout=20))
        check('those in deflate are UNIMPLEMENTED', code == grpc.StatusCode.UNIMPLEMENTED, (code, text))
        collect = channel.stream_unary('/test.Echo/Collect')
        check('many messages are taken, one is given',
              collect(iter([b'a', b'', b'bc']), timeout=20) == b'abc')
        repeat = channel.unary_stream('/test.Echo/Repeat')
        check('one message is taken, many are given',
              list(repeat(b'1000 hello', timeout=20)) == [b'hello'] * 1000)
        chat = channel.stream_stream('/test.Echo/Chat')
        check('both talk', list(chat((b'%d' % i for i in range(500)), timeout=20)) ==
              [b'%d' % i for i in range(500)])
        wait = channel.unary_unary('/test.Echo/Wait')
        code, text = status_of(lambda: wait(b'', timeout=0.1))
        check('a deadline is DEADLINE_EXCEEDED', code == grpc.StatusCode.DEADLINE_EXCEEDED,
              (code, text))
        line = server.wait_for(b'/test.Echo/Wait')
        # It waits for nothing but its context; both sides have the deadline, so what is noticed first differs:
        # the time, the client's CANCEL, or that the stream is gone when the status is written.
        check('and ended the handler', line is not None and
              (b'deadline' in line or b'CANCEL' in line or b'reset by the peer' in line), line)
        call = channel.stream_stream('/test.Echo/Chat')(endless())
        check('a talk begins', next(call) == b'again')
        call.cancel()
        check('a cancel reaches the handler with its code',
              server.wait_for(b'/test.Echo/Chat 499 the client reset the stream: CANCEL') is not None, server.log)
    code, out = server.stop()
    check('SIGTERM ends our server with nothing left', code == 0, out)


def endless():
    while True:
        yield b'again'


# ---- our client, their server ----


class Echo(grpc.GenericRpcHandler):
    """The methods of service.h."""

    def __init__(self):
        self.cancelled = threading.Event()

    def service(self, details):
        kinds = {
            '/test.Echo/Unary': (grpc.unary_unary_rpc_method_handler, self.unary),
            '/test.Echo/Fail': (grpc.unary_unary_rpc_method_handler, self.fail),
            '/test.Echo/Collect': (grpc.stream_unary_rpc_method_handler, self.collect),
            '/test.Echo/Repeat': (grpc.unary_stream_rpc_method_handler, self.repeat),
            '/test.Echo/Chat': (grpc.stream_stream_rpc_method_handler, self.chat),
            '/test.Echo/Wait': (grpc.unary_unary_rpc_method_handler, self.wait),
        }
        kind = kinds.get(details.method)
        return kind[0](kind[1]) if kind else None

    def unary(self, request, context):
        sent = [(k, v) for k, v in context.invocation_metadata() if k in ('say', 'data-bin')]
        context.send_initial_metadata(sent)
        context.set_trailing_metadata([('t-' + k, v) for k, v in sent])
        return request

    def fail(self, request, context):
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, 'no: ' + request.decode())

    def collect(self, requests, context):
        return b''.join(requests)

    def repeat(self, request, context):
        count, _, text = request.partition(b' ')
        for _ in range(int(count)):
            yield text

    def chat(self, requests, context):
        context.add_callback(lambda: context.is_active() or self.cancelled.set())
        yield from requests

    def wait(self, request, context):
        left = context.time_remaining()
        check('their server has our deadline', left is not None and left < 0.06, left)
        ended = threading.Event()
        context.add_callback(ended.set)
        ended.wait(20)
        return b''


def our_client(path):
    echo = Echo()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8), compression=grpc.Compression.Gzip)
    server.add_generic_rpc_handlers((echo,))
    port = server.add_insecure_port('127.0.0.1:0')
    server.start()
    done = subprocess.run([*EMULATOR, path, '127.0.0.1:%d' % port], timeout=120,
                          stdout=subprocess.PIPE)
    for line in done.stdout.decode().splitlines():
        word, _, name = line.partition(' ')
        check('ours: ' + name, word == 'ok')
    check('our client ends well', done.returncode == 0, done.returncode)
    check('their handler hears of the cancel', echo.cancelled.wait(20))
    server.stop(0).wait()


def main():
    their_client(sys.argv[1])
    our_client(sys.argv[2])
    print('%(passed)d passed, %(failed)d failed, 0 skipped' % counts)
    return 1 if counts['failed'] else 0


if __name__ == '__main__':
    sys.exit(main())
