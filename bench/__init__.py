"""Benchmarks of simdrop against what people use instead, on one thread unless said."""

import os

# Set before NumPy, simdrop and JAX are imported, because they read these once. XLA makes a pool of
# NPROC threads; its flag --xla_cpu_multi_thread_eigen=false was seen to leave two of them working.
# OpenBLAS is NumPy's, and adds up a bias's gradients.
os.environ["SIMDROP_NUM_THREADS"] = "1"
os.environ["NPROC"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
