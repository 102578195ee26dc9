"""The Dask side of the bench "spine": answers one line of commands with one line of JSON.

usage: dask-bench.py SCHEDULER_ADDRESS
  throughput N    N distinct no-op tasks, mapped and gathered
  latency N       N times: submit one no-op task, wait for its result
"""

import json
import sys
import time

import distributed


def no_op(_value):
    return 0


def throughput(client, tasks):
    started = time.perf_counter()
    values = client.gather(client.map(no_op, range(tasks), pure=False))
    elapsed = time.perf_counter() - started
    if len(values) != tasks:
        raise RuntimeError("the result is not one value per task")
    return {"elapsedMs": elapsed * 1000}


def latency(client, jobs):
    elapsed = []
    for job in range(jobs):
        started = time.perf_counter()
        client.submit(no_op, job, pure=False).result()
        elapsed.append((time.perf_counter() - started) * 1000)
    return {"elapsedMs": elapsed}


def say(answer):
    print(json.dumps(answer), flush=True)


def main():
    client = distributed.Client(sys.argv[1], timeout=30)
    client.wait_for_workers(2, timeout=30)
    say({"ready": True, "version": distributed.__version__})
    for line in sys.stdin:
        command, count = line.split()
        say({"throughput": throughput, "latency": latency}[command](client, int(count)))


main()
