# cython: language_level=3, freethreading_compatible=True
"""Work on large arrays, shared among threads where that saves time.

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
    NOWAIT_LOCK,
    WAIT_LOCK,
    PyThread_acquire_lock,
    PyThread_allocate_lock,
    PyThread_free_lock,
    PyThread_release_lock,
    PyThread_type_lock,
)
from cpython.ref cimport Py_INCREF
from libc.stdint cimport INT64_MAX, SIZE_MAX, int64_t

cdef enum:
    TRIAL = 1 << 16  # bytes that the caller's thread does first, to see how fast it is
    TRIALS = 4  # at least that many of them must be in all
    FASTEST = 64  # bytes a nanosecond: no kernel does more
    PIECES = 4  # for each thread: the last one to finish is not far behind the others
    WRITTEN_PAST_CACHES = 1 << 24  # bytes of a piece from which kernels do so
    PIECE = 1 << 25  # the most bytes of a piece; between pieces a thread checks whether another one has failed
    SPIN = 50_000  # nanoseconds for which a caller that has finished waits without sleeping
    LOOK_EVERY = 100_000_000  # nanoseconds: how many threads there may be, unless the user has set it
    DECAY = 256  # of what is expected of helpers, while they are not called

LEAST = _threads.LEAST


cdef extern from *:
    """
    #include <stdint.h>

    /* Of a clock that never goes back. */
    #ifdef _WIN32
    #include <windows.h>
    static inline int64_t nanoseconds(void) {
        LARGE_INTEGER ticks, frequency;
        QueryPerformanceCounter(&ticks);
        QueryPerformanceFrequency(&frequency);
        return (int64_t)((double)ticks.QuadPart * 1e9 / (double)frequency.QuadPart);
    }
    #else
    #include <time.h>
    static inline int64_t nanoseconds(void) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    }
    #endif

    /* A number that threads change without a lock, because it need not be exact. */
    #define SHARED_NUMBER(name)                                                                        \\
        static int64_t name;                                                                           \\
        static inline int64_t get_##name(void) { return __atomic_load_n(&name, __ATOMIC_RELAXED); }    \\
        static inline void set_##name(int64_t value) { __atomic_store_n(&name, value, __ATOMIC_RELAXED); }
    SHARED_NUMBER(delay)      /* nanoseconds that helpers are expected to take from a call to their first piece */
    SHARED_NUMBER(found)      /* how many threads there may be */
    SHARED_NUMBER(look_again) /* when that is looked up again */
    """
    int64_t nanoseconds() noexcept nogil
    int64_t get_delay() noexcept nogil
    void set_delay(int64_t value) noexcept nogil
    int64_t get_found() noexcept nogil
    void set_found(int64_t value) noexcept nogil
    int64_t get_look_again() noexcept nogil
    void set_look_again(int64_t value) noexcept nogil


# --- When other threads save time ---


cpdef int64_t threads_worth(int64_t left, int64_t delay) noexcept nogil:
    """
    How many threads are worth having, the caller's among them, for what would take it so many nanoseconds alone, if
    others begin to help so long after they are called.

    The first of them then takes over a third of the work or more, and each has work for as long as it took to begin.
    """
    if delay <= 0:
        return INT64_MAX
    return 1 if left < 3 * delay else left // delay


cpdef int64_t adapted(int64_t delay, int64_t seen) noexcept nogil:
    """The delay to expect after one was seen: near the median, which rare long ones, of a busy machine, hardly move."""
    return delay + delay // 8 if seen > delay else delay - delay // 8


cpdef int64_t faded(int64_t delay) noexcept nogil:
    """The same after a large call without helpers: it falls slowly, so that they are tried again at times."""
    return delay - delay // DECAY


def assumed(delay=None, least=None):
    """
    Set and return, for tests: the nanoseconds that a helper is expected to take from a call to its first piece, and the
    bytes of an array up to which it is not thought of.

    The delay is learned from each call. If it is set to 0, helpers are always called, and to 2**60 never.
    """
    global LEAST
    if delay is not None:
        set_delay(delay)
    if least is not None:
        LEAST = least
    return get_delay(), LEAST


assumed(_threads.FIRST_DELAY)


# --- Threads ---


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
    cdef int64_t called_at  # when the helpers were
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
        try:
            with nogil:
                self.run()
        except BaseException as error:
            self.fail(error)
        with nogil:
            if not self.leave():
                self.wait()
        error, self.error, self.task = self.error, None, None  # a thread that comes late may still hold self
        if error is not None:
            raise error
        return 0

    cdef int run(self) except -1 nogil:
        """Do pieces until none is left."""
        cdef size_t start, stop
        while True:
            PyThread_acquire_lock(self.lock, WAIT_LOCK)
            start = self.next
            self.next = stop = min(start + self.piece, self.stop)
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

    cdef bint enter(self) noexcept nogil:
        """Whether the task is still under way; if so, its arrays stay alive until this thread leaves."""
        PyThread_acquire_lock(self.lock, WAIT_LOCK)
        cdef bint under_way = self.working != 0
        self.working += under_way
        PyThread_release_lock(self.lock)
        return under_way

    cdef bint leave(self) noexcept nogil:
        """Whether this was the last thread."""
        PyThread_acquire_lock(self.lock, WAIT_LOCK)
        self.working -= 1
        cdef bint last = self.working == 0
        PyThread_release_lock(self.lock)
        return last

    cdef void wait(self) noexcept nogil:
        """Until the last of the other threads has left: to be woken takes longer than most of their last pieces."""
        cdef int64_t until = nanoseconds() + SPIN
        while not PyThread_acquire_lock(self.done, NOWAIT_LOCK):
            if nanoseconds() > until:
                PyThread_acquire_lock(self.done, WAIT_LOCK)
                return


cdef class Helper:
    """
    A thread that waits to be called; it ends with the process, and so does this.

    It takes part without Python's global lock, which other threads may hold for milliseconds.

    Not one of a ThreadPoolExecutor: Ctrl-C between starting such a thread and registering it leaves a thread that nobody
    ends, and a process that never exits. Here no Python code runs in between.
    """

    cdef Shared shared  # the task that it was last called for
    cdef PyThread_type_lock called  # released when it is
    cdef void *next  # of the idle helpers
    cdef size_t of  # the number of `generation` when it was made

    def __cinit__(self):
        self.called = new_lock()
        PyThread_acquire_lock(self.called, WAIT_LOCK)
        self.of = generation
        Py_INCREF(self)  # for the list of idle helpers, to which it is added without Python's lock

    cdef void call(self, Shared shared) noexcept:
        self.shared = shared
        PyThread_release_lock(self.called)

    def answer(self, size_t calls=1):
        """Wait until called, take part, and be idle again: so many times."""
        while calls != 0:
            try:
                with nogil:
                    while calls != 0:
                        calls -= 1
                        PyThread_acquire_lock(self.called, WAIT_LOCK)
                        set_delay(adapted(get_delay(), nanoseconds() - self.shared.called_at))
                        if self.shared.enter():
                            self.shared.run()
                            self.leave()
                        self.rest()
            except BaseException as error:
                self.shared.fail(error)
                self.leave()
                self.rest()

    cdef void leave(self) noexcept nogil:
        if self.shared.leave():
            PyThread_release_lock(self.shared.done)

    cdef void rest(self) noexcept nogil:
        """After it, another task may call."""
        global idle
        PyThread_acquire_lock(pool, WAIT_LOCK)
        if self.of == generation:
            self.next = idle
            idle = <void *>self
        PyThread_release_lock(pool)

    def serve(self):
        self.answer(SIZE_MAX)


cdef PyThread_type_lock pool = new_lock()  # of what follows
cdef void *idle = NULL  # the first of the helpers that wait
cdef size_t started = 0  # threads of helpers
cdef size_t generation = 0  # of helpers: those of earlier ones are not called


def forget_threads():
    """Begin as a new process does, with no helpers, and look up how many threads there may be."""
    global idle, started, generation
    PyThread_acquire_lock(pool, WAIT_LOCK)
    idle, started = NULL, 0
    generation += 1
    PyThread_release_lock(pool)
    set_look_again(0)


def after_fork():
    """In the child, which has none of its parent's threads, one of which may have held the lock."""
    global pool
    pool = new_lock()
    forget_threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=after_fork)


cdef int call_helpers(Shared shared, size_t n) except -1:
    """Call n helpers, idle ones first, or fewer; none while the interpreter ends, which stops their threads."""
    cdef Helper helper
    cdef size_t called = 0
    cdef void *first
    if is_finalizing():
        return 0
    shared.called_at = nanoseconds()
    first = idle_helpers(n)
    while first is not NULL:
        helper = <Helper>first
        first = helper.next
        helper.call(shared)
        called += 1
    while called < n and start_helper(shared, n):
        called += 1
    return 0


cdef void *idle_helpers(size_t n) noexcept:
    """The first of at most n of them, which are no others' then."""
    global idle
    cdef void *last = NULL
    cdef void *first
    PyThread_acquire_lock(pool, WAIT_LOCK)
    first = idle
    while n != 0 and idle is not NULL:
        last, idle = idle, (<Helper>idle).next
        n -= 1
    if last is not NULL:
        (<Helper>last).next = NULL
    PyThread_release_lock(pool)
    return NULL if last is NULL else first


cdef bint start_helper(Shared shared, size_t n) except -1:
    """Call a helper with a thread of its own, unless there are n of them or the system gives no more."""
    if not count_helper(1, n):
        return False
    cdef Helper helper = Helper()
    helper.call(shared)
    try:
        start_new_thread(helper.serve, ())
    except BaseException as error:
        count_helper(-1, n)
        if not isinstance(error, RuntimeError):  # which is that it gives no more
            raise
        return False
    return True


cdef bint count_helper(int change, size_t most) noexcept:
    """Whether there are no more than `most` then; else nothing changes."""
    global started
    PyThread_acquire_lock(pool, WAIT_LOCK)
    cdef bint fits = change < 0 or started < most
    if fits:
        started += change
    PyThread_release_lock(pool)
    return fits


cdef PyThread_type_lock new_lock() except NULL:
    cdef PyThread_type_lock lock = PyThread_allocate_lock()
    if lock is NULL:
        raise MemoryError
    return lock


cdef void free_lock(PyThread_type_lock lock) noexcept:
    if lock is not NULL:
        PyThread_free_lock(lock)


# --- Doing a task ---


cdef int share(Task task, size_t n, size_t grain, size_t bytes) except -1:
    """
    Do all n units of a task on arrays of so many bytes; with other threads where that saves time, in pieces that start
    at multiples of `grain` units.
    """
    cdef Shared shared
    cdef int64_t worth = 1
    cdef size_t first = 0, count = 1
    if bytes > LEAST and n > grain:
        count = min(num_threads(), bytes // max(LEAST, 1) + 1)
    if count == 1:
        with nogil:
            task.run(0, n)
        return 0
    with nogil:
        first = begin(task, n, grain, bytes, count, &worth)
    if first == n:
        return 0
    shared = Shared()
    shared.task, shared.next, shared.stop = task, first, n
    count = min(count, worth)
    shared.piece = quotient(quotient(n - first, grain), pieces(count, bytes)) * grain
    return shared.finish(min(count, quotient(n - first, shared.piece)) - 1)


cdef int64_t num_threads() except -1:
    """As the user set it; else it is looked up ten times a second at most, which takes microseconds."""
    cdef int64_t now
    given = _threads._count
    if given is not None:
        return min(given, INT64_MAX)
    now = nanoseconds()
    if now >= get_look_again():
        set_found(min(_threads.get_num_threads(), INT64_MAX))
        set_look_again(now + LOOK_EVERY)
    return get_found()


cdef Py_ssize_t begin(Task task, size_t n, size_t grain, size_t bytes, size_t count, int64_t *worth) except -1 nogil:
    """
    Do the first units of a task, and all others too unless more threads are worth having; returns how many are done.

    The first ones show how fast the caller is. They are not needed where all threads are worth having at any speed, and
    of no use if they are much of the work.
    """
    cdef size_t first = quotient(n * TRIAL // bytes, grain) * grain
    cdef int64_t began, left = bytes // FASTEST, delay = get_delay()
    worth[0] = threads_worth(left, delay)
    if worth[0] >= <int64_t>count or first // grain * TRIALS > quotient(n, grain):
        first = 0
    else:
        began = nanoseconds()
        task.run(0, first)
        left = <int64_t>(<double>(nanoseconds() - began) / first * (n - first))
        worth[0] = threads_worth(left, delay)
    if worth[0] == 1:
        set_delay(faded(delay))
        task.run(first, n)
        first = n
    return first


cdef size_t pieces(size_t count, size_t bytes) noexcept:
    """How many pieces so many threads do."""
    if bytes < count * WRITTEN_PAST_CACHES:
        return count * PIECES
    return count * quotient(bytes, count * PIECE)
