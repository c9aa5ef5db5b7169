"""Kernels of our own for x86-64 CPUs, and what reads and writes their weights."""
