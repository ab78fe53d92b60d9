# SPDX-License-Identifier: MIT
"""Tasks for gdb.

    (gdb) source /usr/share/cease/cease-gdb.py      # where gdb does not load it by itself
    (gdb) cease tasks                               # every task, and what it waits for
    (gdb) cease bt 17                               # the backtrace of task 17
    (gdb) cease bt all

It reads what libcease-rt keeps (src/runtime/stack.c, pending.c, task.h) by its debug information and changes nothing
in the program: a backtrace is made by an unwinder that puts a task's saved registers in the place of the
thread's for as long as it takes. A core file that gdb itself has written (generate-core-file) lacks the
stacks: gdb does not read across their guard pages.
"""
import gdb
import gdb.unwinder

NAMED = 'waits for what wait_object names'
STATES = ('free', 'not begun', 'started')
WAITS = ('waits for its context or another wake', 'waits for its turn', 'waits to send on channel 0x%x',
         'waits to receive from channel 0x%x', 'waits for one of %d cases of a select', 'sleeps until %d ns',
         'waits to read fd %d', 'waits to write fd %d', 'waits for the tasks of a group',
         'waits for a place under the limit of a group', 'waits for a blocking call', NAMED, 'waits for a mutex')


def static(name, field=None):
    """A variable or constant of one of our files; a variable may be told by a field of its type."""
    for symbol in gdb.lookup_static_symbols(name):
        if field is None or (symbol.type.code == gdb.TYPE_CODE_STRUCT and
                             any(f.name == field for f in symbol.type.fields())):
            return symbol.value()
    raise gdb.GdbError('libcease-rt is not loaded, or has no debug information')


class Pending:
    """A task that has not begun: it has no number and no stack."""

    def __init__(self, value):
        self.value = value
        self.id = 0
        self.state = int(value['state'])

    def worker(self):
        return None

    def place(self):
        place = self.value['place']
        return '%s:%d in %s' % (place['file'].string(), int(place['line']), place['function'].string())

    def what(self):
        return STATES[self.state]


class Task(Pending):
    def __init__(self, value):
        super().__init__(value)
        self.id = int(value['id'])
        self.wait = int(value['wait'])

    def worker(self):
        """The worker that runs it right now, or None."""
        worker = self.value['worker']
        runs = self.state == 2 and int(worker) != 0 and worker['current'] == self.value.address
        return worker if runs else None

    def what(self):
        worker = self.worker()
        if worker is not None:
            return 'runs on worker %d' % int(worker['index'])
        if self.state != 2:
            return super().what()
        if self.wait >= len(WAITS):
            return 'waits'
        text = WAITS[self.wait]
        if text == NAMED:
            return 'waits for ' + self.value['wait_object'].cast(gdb.lookup_type('char').pointer()).string()
        return text % int(self.value['wait_object']) if '%' in text else text


def pending():
    """Those that have been started and have not begun."""
    slab = static('pool', 'slabs')['slabs']
    while int(slab) != 0:
        first, last = slab['pending'].type.range()
        for number in range(first, last + 1):
            value = slab['pending'][number]
            if int(value['state']) != 0:
                yield Pending(value)
        slab = slab['next']


def tasks():
    yield from pending()
    pool = static('pool', 'arenas')
    colours, colour_size = int(static('COLOURS')), int(static('COLOUR_SIZE'))
    kind = gdb.lookup_type('struct ceasei_task')
    size, slot = (kind.sizeof + 63) // 64 * 64, int(pool['size'])
    arena = pool['arenas']
    while int(arena) != 0:
        for number in range(int(arena['slots'])):
            if int(arena['marks'][number]) == 0:
                continue
            end = int(arena['base']) + (number + 1) * slot
            at = end - number % colours * colour_size - size
            value = gdb.Value(at).cast(kind.pointer()).dereference()
            if int(value['state']) != 0:
                yield Task(value)
        arena = arena['next']


class SavedStack(gdb.unwinder.Unwinder):
    """While `registers` is set, who called the innermost frame is the task."""

    def __init__(self):
        super().__init__('cease task')
        self.registers = None

    def __call__(self, pending):
        if not self.registers or pending.level() != 0:
            return None
        sp, pc = pending.read_register('sp'), pending.read_register('pc')
        info = pending.create_unwind_info(FrameId(sp, pc))
        for name, value in self.registers.items():
            info.add_saved_register(name, gdb.Value(value).cast(pending.read_register(name).type))
        return info


class FrameId:
    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


unwinder = SavedStack()


def saved_registers(sp):
    """What the switch has left on a stack: switch_x86_64.h, switch_aarch64.S."""
    word = gdb.lookup_type('unsigned long')

    def at(offset):
        return int(gdb.Value(sp + offset).cast(word.pointer()).dereference())
    architecture = gdb.selected_inferior().architecture().name()
    if architecture.startswith('i386:x86-64'):
        return {'rbp': at(0), 'rip': at(8), 'rsp': sp + 16 + 128}
    if architecture.startswith('aarch64'):
        registers = {'x%d' % n: at(16 + 8 * (n - 19)) for n in range(19, 29)}
        registers.update({'x29': at(0), 'pc': at(8), 'sp': sp + 176})
        return registers
    raise gdb.GdbError('backtraces of tasks are not known on ' + architecture)


def backtrace_of(task):
    worker = task.worker()
    if worker is not None:
        name = 'cease-%d' % int(worker['index'])
        for thread in gdb.selected_inferior().threads():
            if thread.name == name:
                return gdb.execute('thread apply %d backtrace' % thread.num, to_string=True)
        return '(it runs on the thread %s)\n' % name
    if task.state != 2:
        return '(not begun)\n'
    if gdb.selected_thread() is None:
        raise gdb.GdbError('there is no process and no core file')
    unwinder.registers = saved_registers(int(task.value['sp']))
    try:
        gdb.invalidate_cached_frames()
        gdb.newest_frame().select()
        text = gdb.execute('backtrace', to_string=True)
    finally:
        unwinder.registers = None
        gdb.invalidate_cached_frames()
    # Frame 0 is the thread's own; the task begins at 1.
    return text[text.index('\n#1') + 1:] if '\n#1' in text else text


class Cease(gdb.Command):
    """cease tasks: list every task; cease bt N: the backtrace of task N; cease bt all."""

    def __init__(self):
        super().__init__('cease', gdb.COMMAND_STACK, prefix=True)


class Tasks(gdb.Command):
    """List every task: its number, where it was started, and what it waits for."""

    def __init__(self):
        super().__init__('cease tasks', gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        count = 0
        for task in tasks():
            print('%6d  started at %s: %s' % (task.id, task.place(), task.what()))
            count += 1
        print('%d tasks' % count)


class Backtrace(gdb.Command):
    """Show the backtrace of a task by its number, or of all."""

    def __init__(self):
        super().__init__('cease bt', gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        wanted = argument.strip()
        if wanted != 'all' and not wanted.isdigit():
            raise gdb.GdbError('cease bt N, or cease bt all')
        found = False
        for task in tasks():
            if wanted == 'all' or task.id == int(wanted):
                found = True
                print('task %d, started at %s: %s' % (task.id, task.place(), task.what()))
                print(backtrace_of(task), end='')
        if not found and wanted != 'all':
            raise gdb.GdbError('no task has the number ' + wanted)


gdb.unwinder.register_unwinder(None, unwinder, replace=True)
Cease()
Tasks()
Backtrace()
