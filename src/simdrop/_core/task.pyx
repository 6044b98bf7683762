# cython: language_level=3, freethreading_compatible=True
"""Work on large arrays, shared among threads.

No Python code runs between starting other threads and waiting for them, so that no signal's exception can come between.
An exception from a piece of the work, or from starting a thread, leaves `share` only when no thread touches the arrays
any more.
"""

import os
from _thread import start_new_thread
from sys import is_finalizing

from simdrop import _threads

cimport cython
from cpython.pythread cimport (
    WAIT_LOCK,
    PyThread_acquire_lock,
    PyThread_allocate_lock,
    PyThread_free_lock,
    PyThread_release_lock,
    PyThread_type_lock,
)

cdef size_t PIECE = _threads.PIECE
cdef size_t LEAST = _threads.LEAST


cdef class Task:
    """Work on n units of an array; a subclass holds the kernel and its arguments."""

    cdef int run(self, size_t start, size_t stop) except -1 nogil:
        """Do units `start` to `stop`, while other threads do others."""
        with gil:
            raise NotImplementedError


cdef class Shared:
    """
    A task that threads share: each takes the next piece, until none is left or one has failed.

    The caller does what the others do not get to, and waits for pieces that were begun, never for a thread to start:
    others may be busy or late, the interpreter may be ending, or the system may refuse a thread.
    """

    cdef Task task
    cdef size_t next, stop, piece  # units
    cdef size_t working  # threads
    cdef object error
    cdef PyThread_type_lock lock  # of the numbers
    cdef PyThread_type_lock done  # held until the last of the other threads has left

    def __cinit__(self):
        self.lock, self.done = new_lock(), new_lock()
        PyThread_acquire_lock(self.done, WAIT_LOCK)

    def __dealloc__(self):
        free_lock(self.lock)
        free_lock(self.done)

    cdef int finish(self, Py_ssize_t helpers) except -1:
        """In the caller's thread: do all of the task, with up to so many other threads."""
        self.working = 1
        try:
            call_helpers(self, helpers)
        except BaseException as error:
            self.fail(error)
        self.work()
        if not self.leave():
            with nogil:
                PyThread_acquire_lock(self.done, WAIT_LOCK)
        error, self.error, self.task = self.error, None, None  # a thread that comes late may still hold self
        if error is not None:
            raise error
        return 0

    cdef void help(self) noexcept:
        """In another thread, at any time: take part."""
        if self.enter():
            self.work()
            if self.leave():
                PyThread_release_lock(self.done)

    cdef void work(self) noexcept:
        try:
            with nogil:
                self.run()
        except BaseException as error:
            self.fail(error)

    cdef int run(self) except -1 nogil:
        cdef size_t start, stop
        while True:
            PyThread_acquire_lock(self.lock, WAIT_LOCK)
            start = self.next
            stop = self.next = min(start + self.piece, self.stop)
            PyThread_release_lock(self.lock)
            if start == stop:
                return 0
            self.task.run(start, stop)

    cdef void fail(self, error) noexcept:
        """What was raised first is what the caller sees; no piece is begun after it."""
        with cython.critical_section(self):
            if self.error is None:
                self.error = error
        PyThread_acquire_lock(self.lock, WAIT_LOCK)
        self.next = self.stop
        PyThread_release_lock(self.lock)

    cdef bint enter(self) noexcept:
        """Whether the task is still under way; if so, its arrays stay alive until this thread leaves."""
        PyThread_acquire_lock(self.lock, WAIT_LOCK)
        cdef bint under_way = self.working != 0
        self.working += under_way
        PyThread_release_lock(self.lock)
        return under_way

    cdef bint leave(self) noexcept:
        """Whether this was the last thread."""
        PyThread_acquire_lock(self.lock, WAIT_LOCK)
        self.working -= 1
        cdef bint last = self.working == 0
        PyThread_release_lock(self.lock)
        return last


cdef class Helper:
    """
    A thread that waits to be called; it ends with the process.

    Not one of a ThreadPoolExecutor: Ctrl-C between starting such a thread and registering it leaves a thread that nobody
    ends, and a process that never exits. Here no Python code runs in between.
    """

    cdef Shared shared
    cdef PyThread_type_lock called  # released when it is

    def __cinit__(self):
        self.called = new_lock()
        PyThread_acquire_lock(self.called, WAIT_LOCK)

    def __dealloc__(self):
        free_lock(self.called)

    cdef void call(self, Shared shared) noexcept:
        self.shared = shared
        PyThread_release_lock(self.called)

    def answer(self):
        """Wait until called, and help."""
        with nogil:
            PyThread_acquire_lock(self.called, WAIT_LOCK)
        self.shared.help()
        self.shared = None
        idle.append(self)

    def serve(self):
        while True:
            self.answer()


cdef list idle = []  # helpers that wait
cdef size_t started = 0


def forget_helpers():
    """In a forked child, which has none of its parent's threads."""
    global idle, started
    idle, started = [], 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_helpers)


cdef int call_helpers(Shared shared, size_t n) except -1:
    """Call at most n helpers, idle ones first; none while the interpreter ends, which stops their threads."""
    global started
    cdef Helper helper
    if is_finalizing():
        return 0
    with cython.critical_section(idle):
        for _ in range(n):
            if idle:
                helper = idle.pop()
                helper.call(shared)
            elif started < n:
                helper = Helper()
                helper.call(shared)
                try:
                    start_new_thread(helper.serve, ())
                except RuntimeError:  # the system gives no more
                    return 0
                started += 1
    return 0


cdef PyThread_type_lock new_lock() except NULL:
    cdef PyThread_type_lock lock = PyThread_allocate_lock()
    if lock is NULL:
        raise MemoryError
    return lock


cdef void free_lock(PyThread_type_lock lock) noexcept:
    if lock is not NULL:
        PyThread_free_lock(lock)


cdef int share(Task task, size_t n, size_t grain, size_t bytes, size_t split_from) except -1:
    """
    Do all n units of a task on arrays of so many bytes; from `split_from` bytes on with other threads, in pieces that
    start at multiples of `grain` units.
    """
    cdef Shared shared
    cdef size_t count = 1
    if bytes >= split_from and n > grain:
        count = min(_threads.get_num_threads(), bytes // LEAST + 1)
    if count == 1:
        with nogil:
            task.run(0, n)
        return 0
    shared = Shared()
    shared.task, shared.stop = task, n
    shared.piece = quotient(quotient(n, grain), count * quotient(bytes, count * PIECE)) * grain
    return shared.finish(min(count, quotient(n, shared.piece)) - 1)


cdef size_t quotient(size_t n, size_t divisor) noexcept:
    """Rounded up, and at least 1."""
    return (max(n, 1) - 1) // divisor + 1
