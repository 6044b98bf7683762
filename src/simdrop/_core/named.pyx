# cython: language_level=3, binding=True, freethreading_compatible=True
"""Compiled functions whose TypeErrors say which name an argument has here, at no cost to other calls."""

from simdrop import _names

from cpython.exc cimport PyErr_ExceptionMatches, PyErr_Fetch, PyErr_Restore
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF


cdef extern from *:
    """
    /* Where a function has what computes its calls (PEP 590). */
    static vectorcallfunc *vectorcall_of(PyObject *function)
    {
        return (vectorcallfunc *)((char *)function + Py_TYPE(function)->tp_vectorcall_offset);
    }
    """
    ctypedef PyObject *(*vectorcallfunc)(PyObject *, PyObject *const *, size_t, PyObject *) noexcept
    vectorcallfunc *vectorcall_of(object function)
    vectorcallfunc PyVectorcall_Function(object function)


cdef struct Function:
    PyObject *function
    vectorcallfunc call  # as Cython made it

cdef enum:
    MOST = 32

cdef Function[MOST] functions
cdef int count = 0


def explained(function):
    """
    Have the TypeError of a compiled function, for an argument by another name, say which one is meant.

    The function is returned, and is what it was, with its signature: only what computes its calls is another one. A
    wrapper in Python would cost each call a tenth of a microsecond.
    """
    global count
    if PyVectorcall_Function(function) == NULL:  # of another Python or Cython: its errors stay as they are
        return function
    if count == MOST:
        raise RuntimeError(f"there is room for {MOST} functions")
    Py_INCREF(function)
    functions[count] = Function(<PyObject *>function, vectorcall_of(function)[0])
    count += 1
    vectorcall_of(function)[0] = call
    return function


cdef PyObject *call(PyObject *function, PyObject *const *args, size_t nargs, PyObject *names) noexcept:
    cdef int i = 0
    while functions[i].function != function:
        i += 1
    cdef PyObject *result = functions[i].call(function, args, nargs, names)
    if result == NULL and names != NULL and PyErr_ExceptionMatches(TypeError):
        explain(<object>function, <object>names)
    return result


cdef int explain(function, names) noexcept:
    """Replace the exception that a call with these names has set, if one of them is another library's."""
    cdef PyObject *kind
    cdef PyObject *value
    cdef PyObject *traceback
    PyErr_Fetch(&kind, &value, &traceback)
    try:
        message = _names.explanation_of(function, function.__name__, names)
    except Exception:  # where memory or the stack ends: the error stays as it is
        message = None
    if message is not None:
        Py_XDECREF(value)
        Py_XDECREF(traceback)
        value, traceback = <PyObject *>message, NULL
        Py_INCREF(message)
    PyErr_Restore(kind, value, traceback)
    return 0
