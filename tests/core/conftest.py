"""What the tests of the core share."""

import sys

import pytest
from applying import FORMS

import simdrop as sd


@pytest.fixture(params=FORMS)
def form(request):
    """Each way to apply a mask."""
    return FORMS[request.param]


@pytest.fixture
def frequent_switches():
    """Let threads interrupt each other as often as can be."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def default_threads(monkeypatch):
    """Neither the environment nor an earlier test says how many threads there are."""
    monkeypatch.delenv("SIMDROP_NUM_THREADS", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    yield
    sd.set_num_threads(None)
