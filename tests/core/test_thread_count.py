"""How many threads: what the user, the environment and the quota of a cgroup say."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simdrop as sd
from simdrop import _threads

pytestmark = pytest.mark.usefixtures("default_threads")


def test_counts():
    sd.set_num_threads(3)
    assert sd.get_num_threads() == 3
    sd.set_num_threads(None)
    assert sd.get_num_threads() == _threads.available_cpus() >= 1


@pytest.mark.parametrize("type_", [np.int64, np.uint8, np.int16])
def test_a_number_of_numpys(type_):
    sd.set_num_threads(type_(2))
    assert sd.get_num_threads() == 2 and type(sd.get_num_threads()) is int


@pytest.mark.parametrize("bad", [0, -1])
def test_too_few(bad):
    with pytest.raises(ValueError, match=f"at least 1, not {bad}"):
        sd.set_num_threads(bad)


@pytest.mark.parametrize(
    "bad", ["2", 2.0, True, np.float64(2), np.True_, np.array([2, 3])], ids=repr
)
def test_not_an_int(bad):
    with pytest.raises(TypeError, match="must be an int"):
        sd.set_num_threads(bad)


def alive():
    """This process's threads, those that Python does not know, too, where Linux tells."""
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.exists() else 0


@pytest.mark.parametrize("count", [2**31, 2**39, 2**62, 2**64 - 1, 2**64, 10**25])
def test_more_threads_than_any_machine_has(count):
    """Sizes of pieces are not computed from numbers that overflow; tiny ones are nobody's."""
    x = np.ones(3_200_000, np.float32)
    mask = sd.Stream(4).mask(x.shape, 0.5)
    sd.set_num_threads(1)
    expected = mask.apply(x)
    sd.set_num_threads(count)
    assert sd.get_num_threads() == count
    before = alive()
    np.testing.assert_array_equal(mask.apply(x), expected)
    assert alive() <= before + x.nbytes // _threads.LEAST


def test_environment_variable(monkeypatch):
    monkeypatch.setenv("SIMDROP_NUM_THREADS", "5")
    assert sd.get_num_threads() == 5
    for bad in ("0", "-1", "two", "1.5", "9" * 5000):
        monkeypatch.setenv("SIMDROP_NUM_THREADS", bad)
        with pytest.raises(ValueError, match="SIMDROP_NUM_THREADS must be a positive integer"):
            sd.get_num_threads()


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_environment_variable_is_as_if_not_set(monkeypatch, empty):
    monkeypatch.setenv("SIMDROP_NUM_THREADS", empty)
    monkeypatch.setenv("OMP_NUM_THREADS", empty)
    assert sd.get_num_threads() == _threads.available_cpus()


def test_the_variable_of_openmp(monkeypatch):
    """Workers are given their share of the CPUs in it; our own comes first."""
    for text, expected in (("3", 3), ("4,2", 4), (" 5 ", 5)):
        monkeypatch.setenv("OMP_NUM_THREADS", text)
        assert sd.get_num_threads() == expected
    monkeypatch.setenv("SIMDROP_NUM_THREADS", "2")
    assert sd.get_num_threads() == 2
    monkeypatch.delenv("SIMDROP_NUM_THREADS")
    for wrong in ("0", "-1", "two", ",2", "9" * 5000):
        monkeypatch.setenv("OMP_NUM_THREADS", wrong)
        assert sd.get_num_threads() == _threads.available_cpus()


def test_workers_of_joblib_share_the_cpus(run_python):
    joblib = pytest.importorskip("joblib")
    code = """
import joblib, simdrop as sd
counts = joblib.Parallel(n_jobs=2)(joblib.delayed(sd.get_num_threads)() for _ in range(4))
print(*counts)
"""
    done = run_python(code, OMP_NUM_THREADS=None)
    assert done.returncode == 0, done.stderr
    share = max(joblib.cpu_count() // 2, 1)
    assert done.stdout.split() == [str(share)] * 4


# --- The quota of a cgroup ---


@pytest.fixture
def cgroups(tmp_path):
    """A process in cgroups with files; gives its quota."""

    def quota(membership, **files):
        (tmp_path / "cgroup").write_text(membership)
        for name, text in files.items():
            file = tmp_path / "fs" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return _threads.cpu_quota(str(tmp_path / "cgroup"), str(tmp_path / "fs"))

    _threads.cpu_quota.cache_clear()
    yield quota
    _threads.cpu_quota.cache_clear()


LIMITLESS = sys.maxsize
V1 = "12:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n0::/docker/abc\n"


@pytest.mark.parametrize(
    "membership, files, expected",
    [
        ("0::/a/b\n", {"a/b/cpu.max": "200000 100000\n"}, 2),
        ("0::/a/b\n", {"a/b/cpu.max": "150000 100000\n"}, 2),
        ("0::/a/b\n", {"a/b/cpu.max": "1000 100000\n"}, 1),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n"}, LIMITLESS),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "300000 100000\n"}, 3),
        ("0::/a/b\n", {"a/b/cpu.max": "400000 100000\n", "a/cpu.max": "50000 50000\n"}, 1),
        ("0::/\n", {"cpu.max": "250000 50000\n"}, 5),
        ("0::/docker/abc\n", {"cpu.max": "250000 50000\n"}, 5),
        ("0::/../..\n", {"cpu.max": "250000 50000\n"}, 5),
        ("0::/a:b\n", {"a:b/cpu.max": "250000 50000\n"}, 5),
        ("0::/a\n", {"a/cpu.max": "nonsense\n"}, LIMITLESS),
        ("0::/a\n", {"b/cpu.max": "100000 100000\n"}, LIMITLESS),
        ("", {"cpu.max": "100000 100000\n"}, LIMITLESS),
        (
            V1,
            {
                "cpu/docker/abc/cpu.cfs_quota_us": "350000\n",
                "cpu/docker/abc/cpu.cfs_period_us": "100000\n",
                "cpu/cpu.cfs_quota_us": "-1\n",
                "cpu/cpu.cfs_period_us": "100000\n",
            },
            4,
        ),
        (
            V1,  # from inside the container
            {"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"},
            2,
        ),
        (
            V1,
            {
                "cpu/docker/abc/cpu.cfs_quota_us": "-1\n",
                "cpu/docker/abc/cpu.cfs_period_us": "100000\n",
            },
            LIMITLESS,
        ),
        ("4:cpuset,memory:/a\n", {"cpu/a/cpu.max": "1 1"}, LIMITLESS),
    ],
)
def test_the_quota_of_a_cgroup(cgroups, membership, files, expected):
    assert cgroups(membership, **files) == expected


@given(
    quotas=st.lists(st.none() | st.integers(1, 10**7), min_size=1, max_size=5),
    period=st.integers(1000, 10**6),
)
def test_the_least_of_all_quotas_counts(cgroups, quotas, period):
    files = {
        "/".join([*"abcde"[:depth], "cpu.max"]): f"{'max' if quota is None else quota} {period}\n"
        for depth, quota in enumerate(quotas)
    }
    _threads.cpu_quota.cache_clear()
    limits = [-(-quota // period) for quota in quotas if quota is not None]
    assert cgroups(f"0::/{'/'.join('abcde'[: len(quotas) - 1])}\n", **files) == min(
        limits, default=LIMITLESS
    )


def test_a_system_without_cgroups(cgroups, tmp_path):
    assert _threads.cpu_quota(str(tmp_path / "none"), str(tmp_path)) == LIMITLESS


def test_a_quota_limits_the_default_alone(monkeypatch):
    monkeypatch.setattr(_threads, "cpu_quota", lambda: 1)
    assert sd.get_num_threads() == 1
    sd.set_num_threads(3)
    assert sd.get_num_threads() == 3
