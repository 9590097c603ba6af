"""Work on more than one processor core, or less: threads."""

from hypopose.distributed.cores import available_cores, choose_threads, idle_cores, threads

__all__ = ["available_cores", "choose_threads", "idle_cores", "threads"]
