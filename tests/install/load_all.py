"""Loads the given libraries into this process with dlopen, in that order, and uses them a little: a
context with a deadline, waited for on a plain thread. What another language's binding would do."""
import ctypes
import sys
import time


class Place(ctypes.Structure):
    _fields_ = [('file', ctypes.c_char_p), ('line', ctypes.c_int), ('function', ctypes.c_char_p)]


class Duration(ctypes.Structure):
    _fields_ = [('ns', ctypes.c_int64)]


libraries = {path.rsplit('/lib', 1)[1][:-3]: ctypes.CDLL(path) for path in sys.argv[1:]}
core = libraries['cease']
core.cease_background.restype = ctypes.c_void_p
core.cease_error_name.restype = ctypes.c_char_p
core.cease_with_timeout_at.restype = ctypes.c_void_p
core.cease_with_timeout_at.argtypes = [ctypes.c_void_p, Duration, ctypes.POINTER(ctypes.c_void_p),
                                       ctypes.POINTER(Place)]
core.cease_wait.argtypes = [ctypes.c_void_p]
core.cease_end.argtypes = [ctypes.c_void_p]

place = Place(b'load_all.py', 1, b'main')
canceler = ctypes.c_void_p()
ctx = core.cease_with_timeout_at(core.cease_background(), Duration(1000000), ctypes.byref(canceler),
                                 ctypes.byref(place))
error = core.cease_wait(ctx)
name = core.cease_error_name(error)
assert name == b'CEASE_EDEADLINE', (error, name)
core.cease_end(canceler)
# The thread that watches deadlines woke us, and may itself be about to let go.
give_up = time.monotonic() + 20
while core.cease_live_count() != 0:
    assert time.monotonic() < give_up, core.cease_live_count()
    time.sleep(0.001)
print('loaded and used:', ', '.join(libraries))
