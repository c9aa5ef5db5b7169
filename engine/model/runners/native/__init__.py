"""Kernels of our own for CPUs with AVX-512 VNNI, and what reads and writes their weights."""
