# cython: language_level=3
"""What kernels need to run on large arrays."""


cdef size_t LEAST  # bytes of an array up to which no other thread is even thought of


cdef class Task:
    cdef tuple arrays  # which it reads and writes, so that its pointers are good as long as it lives

    cdef int run(self, size_t start, size_t stop) except -1 nogil


cdef int share(Task task, size_t n, size_t grain, size_t bytes) except -1


cdef inline size_t quotient(size_t n, size_t divisor) noexcept nogil:
    """Rounded up, and at least 1."""
    return (max(n, 1) - 1) // divisor + 1
