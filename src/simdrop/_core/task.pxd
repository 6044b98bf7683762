# cython: language_level=3
"""What kernels need to run on large arrays."""


cdef class Task:
    cdef tuple arrays  # which it reads and writes, so that its pointers are good as long as it lives

    cdef int run(self, size_t start, size_t stop) except -1 nogil


cdef int share(Task task, size_t n, size_t grain, size_t bytes, size_t split_from) except -1
