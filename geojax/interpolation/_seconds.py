"""The time that a block took, and the part of it that JAX spent compiling."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import jax


@contextmanager
def stopwatch() -> Iterator[dict[str, float]]:
    """The `seconds` that a block took and, of these, `compile_seconds`, set when the block ends.

    Results must be ready inside the block (`jax.block_until_ready`).

    >>> with stopwatch() as seconds:
    ...     _ = jax.block_until_ready(jax.numpy.ones(3))
    >>> sorted(seconds)
    ['compile_seconds', 'seconds']
    """
    measured: dict[str, float] = {}
    spans: list[tuple[float, float]] = []

    def listen(event: str, duration_secs: float, **_: str | int) -> None:
        if event.startswith("/jax/core/compile"):
            now = time.perf_counter()
            spans.append((now - duration_secs, now))

    jax.monitoring.register_event_duration_secs_listener(listen)
    start = time.perf_counter()
    try:
        yield measured
    finally:
        measured["seconds"] = time.perf_counter() - start
        measured["compile_seconds"] = _covered(spans)
        jax.monitoring.unregister_event_duration_listener(listen)


def _covered(spans: list[tuple[float, float]]) -> float:
    """The length of a union of intervals, because tracing one function contains tracing another."""
    total, end = 0.0, float("-inf")
    for a, b in sorted(spans):
        total += max(0.0, b - max(a, end))
        end = max(end, b)
    return total
