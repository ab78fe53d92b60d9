#!/usr/bin/env python3
"""Three processes in a chain: the last one's context must have the first one's deadline, less what was
spent and a reserve at each hop, its trace and its baggage, and must end when the first client goes.

    chain_test.py CHAIN_SERVER
"""
import os
import socket
import subprocess
import sys

LIMIT_S = 60
TIMEOUT_MS = 20000
RESERVE_US = 2000
TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
STATE = 'congo=t61rcWkgMzE'
BAGGAGE = 'user=anna,tier=a%20b;p'
passed = failed = 0


class Process:
    def __init__(self, program, *args):
        prefix = os.environ.get('HARNESS_EMULATOR', '').split()
        self.process = subprocess.Popen(prefix + [program] + list(args), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, universal_newlines=True)
        self.port = int(self.line()[0])

    def line(self):
        """The next line's words; the whole test is ended from outside when none comes."""
        text = self.process.stdout.readline()
        if not text:
            raise AssertionError('a process of the chain has ended')
        return text.split()

    def stop(self):
        self.process.stdin.close()
        return self.process.wait(LIMIT_S)


def ask(port, *fields):
    s = socket.create_connection(('127.0.0.1', port), LIMIT_S)
    s.sendall('\r\n'.join(('GET / HTTP/1.1', 'Host: a') + fields + ('', '')).encode())
    return s


def expect(what, condition):
    if not condition:
        raise AssertionError(what)


def hear(chain):
    """What each process says at the start of a request: (left in, left out, trace, state, baggage)."""
    heard = []
    for i, process in enumerate(chain):
        word = process.line()
        expect('"in", not %s' % word, word[0] == 'in')
        out = process.line() if i + 1 < len(chain) else None
        heard.append((int(word[1]), int(out[1]) if out else None) + tuple(word[2:]))
    return heard


def case_values_and_deadline(chain):
    s = ask(chain[0].port, 'X-Request-Timeout-Ms: %d' % TIMEOUT_MS, 'traceparent: ' + TRACE,
            'tracestate: ' + STATE, 'baggage: ' + BAGGAGE)
    heard = hear(chain)
    for left, out, *carried in heard:
        expect('carried: %s' % carried, carried == [TRACE, STATE, BAGGAGE])
        expect('left: %d' % left, 0 < left <= TIMEOUT_MS * 1000)
        expect('out: %s' % out, out is None or out <= left)
    for (_, out, *_), (left, *_) in zip(heard, heard[1:]):
        expect('%d us left after %d' % (left, out), left <= out - RESERVE_US)
    s.close()
    for process in reversed(chain):
        end = process.line()
        expect('end: %s' % end, end[0] == 'end' and end[2] == 'CEASE_EPEERGONE')


def case_nothing_carried(chain):
    s = ask(chain[0].port)
    heard = hear(chain)
    for _, _, *carried in heard:
        expect('carried: %s' % carried, carried == ['-', '-', '-'])
    s.shutdown(socket.SHUT_RDWR)
    s.close()
    ends = [process.line()[2] for process in chain]
    expect('ends: %s' % ends, ends == ['CEASE_EPEERGONE'] * 3)


def case_deadline_over(chain):
    s = ask(chain[0].port, 'X-Request-Timeout-Ms: 300')
    heard = hear(chain)
    expect('left: %s' % (heard,), heard[2][0] <= 300000 - 2 * RESERVE_US)
    ends = [process.line()[2] for process in chain]
    # whose clock strikes first is the scheduler's choice, and who waits for that one may only see it go
    expect('ends: %s' % ends, all(e in ('CEASE_EDEADLINE', 'CEASE_EPEERGONE', '-') for e in ends))
    expect('ends: %s' % ends, 'CEASE_EDEADLINE' in ends)
    text = s.recv(4096).decode()
    expect('answer: %s' % text, text.split()[1] in ('504', '500'))
    s.close()


def main():
    global passed, failed
    last = Process(sys.argv[1])
    middle = Process(sys.argv[1], str(last.port))
    first = Process(sys.argv[1], str(middle.port))
    chain = [first, middle, last]
    for case in (case_values_and_deadline, case_nothing_carried, case_deadline_over,
                 case_values_and_deadline):
        try:
            case(chain)
            passed += 1
            print('ok    ' + case.__name__)
        except AssertionError as e:
            failed += 1
            print('FAIL  %s: %s' % (case.__name__, e))
            break
    for process in chain:
        status = process.stop()
        if status != 0:
            failed += 1
            print('FAIL  a process of the chain ended with status %d' % status)
    print('%d passed, %d failed, 0 skipped' % (passed, failed))
    return 1 if failed else 0


sys.exit(main())
