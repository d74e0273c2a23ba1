#!/usr/bin/env python3
"""The measurements of this folder, with asyncio: the same work, under the same names.

Prints a JSON object of nanoseconds per operation, and bytes where the name says so. Needs the
standard library of Python 3.11, and nothing else. `./learn bench` runs it.
"""

import asyncio
import gc
import json
import platform
import statistics
import sys
import time
import tracemalloc

SECONDS = 0.05  # of processor time, for each measurement and repetition
REPETITIONS = 3
MEASUREMENTS = {}


def measures(name, *arguments):
    """Adds the decorated coroutine function: it does `count` operations."""

    def add(body):
        MEASUREMENTS[name] = lambda count: body(count, *arguments)
        return body

    return add


def for_sizes(name, sizes=(2, 10, 1000), kinds=(("", False), (", yield", True))):
    """Adds it once for each number of coroutines, with and without a yield inside."""

    def add(body):
        for size in sizes:
            for suffix, yields in kinds:
                MEASUREMENTS[f"{name}, {size}{suffix}"] = (
                    lambda count, size=size, yields=yields: body(count, size, yields)
                )
        return body

    return add


async def nothing():
    pass


async def yielding():
    await asyncio.sleep(0)


@measures("await an empty coroutine")
async def await_nothing(count):
    for _ in range(count):
        await nothing()


@for_sizes("yield", sizes=(1, 2, 10, 1000), kinds=(("", False),))
async def sleep_zero(count, size, _):
    async def turns():
        for _ in range(count // size):
            await asyncio.sleep(0)

    await asyncio.gather(*(turns() for _ in range(size)))


# --- locks ----------------------------------------------------------------------------------------


@measures("mutex, free", asyncio.Lock)
@measures("semaphore, free", lambda: asyncio.Semaphore(3))
async def enter_free(count, make):
    lock = make()
    for _ in range(count):
        async with lock:
            pass


async def enter(count, size, yields, lock, permits):
    async def turns():
        for _ in range(count // size):
            async with lock:
                if yields:
                    await asyncio.sleep(0)

    for _ in range(permits):
        await lock.acquire()
    tasks = [asyncio.create_task(turns()) for _ in range(size)]
    await asyncio.sleep(0)  # all stand in line
    for _ in range(permits):
        lock.release()
    await asyncio.gather(*tasks)


@for_sizes("mutex")
async def mutex(count, size, yields):
    await enter(count, size, yields, asyncio.Lock(), 1)


@for_sizes("semaphore")
async def semaphore(count, size, yields):
    permits = min(3, size - 1)
    await enter(count, size, yields, asyncio.Semaphore(permits), permits)


# --- queues ---------------------------------------------------------------------------------------


@measures("queue of 1, alone", 1)
@measures("queue of 64, alone", 64)
async def put_and_get(count, capacity):
    queue = asyncio.Queue(capacity)
    for _ in range(count):
        await queue.put(1)
        await queue.get()


async def through_queue(count, size, yields, capacity):
    queue = asyncio.Queue(capacity)
    share = count // (size // 2)

    async def produce():
        for _ in range(share):
            if yields:
                await asyncio.sleep(0)
            await queue.put(1)

    async def consume():
        for _ in range(share):
            await queue.get()
            if yields:
                await asyncio.sleep(0)

    half = size // 2
    await asyncio.gather(*(consume() for _ in range(half)), *(produce() for _ in range(half)))


@for_sizes("queue of 1")
async def queue_of_1(count, size, yields):
    await through_queue(count, size, yields, 1)


@for_sizes("queue of 64")
async def queue_of_64(count, size, yields):
    await through_queue(count, size, yields, 64)


# --- event, condition, barrier --------------------------------------------------------------------


@measures("event, set")
async def event_set(count):
    event = asyncio.Event()
    event.set()
    for _ in range(count):
        await event.wait()


@for_sizes("event")
async def event(count, size, yields):
    news = asyncio.Event()
    rounds = count // (size - 1)

    async def wait():
        for _ in range(rounds):
            await news.wait()
            if yields:
                await asyncio.sleep(0)

    tasks = [asyncio.create_task(wait()) for _ in range(size - 1)]
    await asyncio.sleep(0)
    for _ in range(rounds):
        news.set()
        news.clear()
        await asyncio.sleep(0)
        if yields:
            await asyncio.sleep(0)
    await asyncio.gather(*tasks)


@measures("condition, nobody waits")
async def notify_nobody(count):
    changed = asyncio.Condition()
    async with changed:
        for _ in range(count):
            changed.notify()


async def condition(count, size, yields, notify_all):
    changed = asyncio.Condition()
    waiters = size - 1
    woken = 0

    async def wait():
        nonlocal woken
        async with changed:
            while True:
                await changed.wait()
                woken += 1
                if yields:
                    await asyncio.sleep(0)

    tasks = [asyncio.create_task(wait()) for _ in range(waiters)]
    await asyncio.sleep(0)
    while woken < count:
        before = woken
        async with changed:  # which asyncio's notify demands
            if notify_all:
                changed.notify_all()
            else:
                changed.notify()
        while woken == before:
            await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@for_sizes("condition")
async def condition_one(count, size, yields):
    await condition(count, size, yields, False)


@for_sizes("condition", kinds=((", all", False),))
async def condition_all(count, size, yields):
    await condition(count, size, yields, True)


@for_sizes("barrier")
async def barrier(count, size, yields):
    meeting = asyncio.Barrier(size)

    async def meet():
        for _ in range(count // size):
            await meeting.wait()
            if yields:
                await asyncio.sleep(0)

    await asyncio.gather(*(meet() for _ in range(size)))


@measures("barrier, alone")
async def barrier_alone(count):
    await barrier(count, 1, False)


# --- children -------------------------------------------------------------------------------------


@for_sizes("gather")
async def gather(count, size, yields):
    child = yielding if yields else nothing
    for _ in range(count // size):
        await asyncio.gather(*(child() for _ in range(size)))


@for_sizes("task group")
async def task_group(count, size, yields):
    child = yielding if yields else nothing
    for _ in range(count // size):
        async with asyncio.TaskGroup() as group:
            for _ in range(size):
                group.create_task(child())


@for_sizes("spawn", sizes=(100,))
async def spawn(count, size, yields):
    child = yielding if yields else nothing
    for _ in range(count // size):
        tasks = {asyncio.create_task(child()) for _ in range(size)}
        await asyncio.sleep(0)
        if yields:
            await asyncio.sleep(0)
        del tasks


@measures("timeout", nothing)
@measures("timeout, yield", yielding)
async def timeout(count, child):
    for _ in range(count):
        await asyncio.wait_for(child(), 3600)


# --- sleeps ---------------------------------------------------------------------------------------


@measures("sleep of 0")
async def sleep_of_zero(count):
    for _ in range(count):
        await asyncio.sleep(1e-9)  # sleep(0) is not a sleep but a yield


@for_sizes("short sleep", sizes=(1, 10, 1000), kinds=(("", False),))
async def short_sleep(count, size, _):
    async def turns(length):
        for _ in range(count // size):
            await asyncio.sleep(length)

    await asyncio.gather(*(turns(1e-6 * (1 + each % 50)) for each in range(size)))


# --- memory ---------------------------------------------------------------------------------------


async def memory():
    """Bytes that tracemalloc counts for each of a thousand suspended tasks."""
    lock = asyncio.Lock()
    event = asyncio.Event()
    queue = asyncio.Queue()
    await lock.acquire()

    async def sleep():
        await asyncio.sleep(3600)

    async def wait():
        async with lock:
            pass

    async def wait_for_event():
        await event.wait()

    async def get():
        await queue.get()

    bodies = {"a sleep": sleep, "a lock": wait, "an event": wait_for_event, "a get": get}
    found = {}
    for name, body in bodies.items():
        gc.collect()
        tracemalloc.start()
        tasks = [asyncio.create_task(body()) for _ in range(1000)]
        await asyncio.sleep(0)
        found["bytes in " + name] = tracemalloc.get_traced_memory()[0] / 1000
        tracemalloc.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return found


# --------------------------------------------------------------------------------------------------


def timed(body, count):
    async def run():
        started = time.process_time()
        await body(count)
        return time.process_time() - started

    return asyncio.run(run())


def measure(body):
    count = 2000  # enough that each of a thousand coroutines has something to do
    seconds = timed(body, count)
    if seconds < SECONDS:
        count = max(count, int(count * SECONDS / max(seconds, 1e-4)) // 1000 * 1000)
    found = (timed(body, count) / count for _ in range(REPETITIONS))
    return statistics.median(found) * 1e9


def main():
    if sys.version_info < (3, 11):
        sys.exit("asyncio_bench.py: Barrier and TaskGroup need Python 3.11 or newer")
    results = {name: round(measure(body), 1) for name, body in MEASUREMENTS.items()}
    results |= asyncio.run(memory())
    json.dump({"version": platform.python_version(), "results": results}, sys.stdout, indent=1)
    print()


main()
