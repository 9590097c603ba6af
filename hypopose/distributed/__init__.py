"""Work on more than one processor core, or less: threads."""

from hypopose.distributed.cores import available_cores, choose_threads, threads

__all__ = ["available_cores", "choose_threads", "threads"]
