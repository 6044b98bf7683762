"""Benchmarks of simdrop against what people use instead, all of them on one thread."""

import os

# Set before simdrop and JAX are imported, because they read these once. XLA makes a pool of NPROC
# threads; its flag --xla_cpu_multi_thread_eigen=false was seen to leave two of them working.
os.environ["SIMDROP_NUM_THREADS"] = "1"
os.environ["NPROC"] = "1"
