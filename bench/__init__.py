"""Benchmarks of simdrop against what people use instead, on one thread unless stated otherwise."""

import os

# NumPy, simdrop and JAX read these once, when they are imported. XLA makes a pool of NPROC threads;
# with its flag --xla_cpu_multi_thread_eigen=false two of them were still seen to work. OpenBLAS is
# NumPy's, and sums the gradients of a bias.
os.environ["SIMDROP_NUM_THREADS"] = "1"
os.environ["NPROC"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
