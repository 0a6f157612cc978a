"""Ctrl-C while something is at work: one KeyboardInterrupt, whatever it meets, and no traceback of a worker."""

import signal
from _thread import interrupt_main
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import active_children, resource_tracker
from threading import Thread


@contextmanager
def interruptible(workers: int = 1) -> Iterator[None]:
    """Within, Ctrl-C ends the worker processes and then this one, by a KeyboardInterrupt. For the main thread.

    The terminal sends Ctrl-C to the workers too, and one that is just starting would answer with a traceback. So it is
    blocked, which a process inherits from the thread that starts it, and a thread of its own waits for it.
    """
    from segmentation.history import STARTING

    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a script
        yield
        return
    heard = done = False

    def listen() -> None:
        nonlocal heard
        while True:  # again and again: where an engine or a destructor ignores errors, an interruption is lost
            signal.sigwait([signal.SIGINT])
            if done:
                return
            with STARTING:  # a worker that never gets all of its task would say so
                heard = True
                for worker in active_children():  # else this process would wait for them; the store loses nothing by it
                    worker.kill()
                interrupt_main()

    def answer(*_: object) -> None:
        # Threads that were there before do not block it: then it comes here, at any place, and goes the same way.
        if heard:
            raise KeyboardInterrupt
        assert listener.ident
        signal.pthread_kill(listener.ident, signal.SIGINT)

    if workers > 1:
        resource_tracker.ensure_running()  # now: when it starts it lets Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    listener = Thread(target=listen, daemon=True)
    listener.start()
    handler = signal.signal(signal.SIGINT, answer)
    try:
        yield
    except BaseException:  # what an interrupted engine or a pool without workers raises is no KeyboardInterrupt
        if heard:
            raise KeyboardInterrupt from None
        raise
    finally:
        done = True
        signal.signal(signal.SIGINT, handler)
        if not heard:
            assert listener.ident
            signal.pthread_kill(listener.ident, signal.SIGINT)
            listener.join()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
