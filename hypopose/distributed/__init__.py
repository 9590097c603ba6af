"""Threads, processes and clusters for larger workloads."""

from hypopose.distributed.cores import available_cores, choose_threads, idle_cores, threads

__all__ = ["available_cores", "choose_threads", "idle_cores", "threads"]
