"""What the peers share: arguments, MNIST, timing, and the JSON line that each arm ends with."""

import gzip
import json
import os
import pathlib
import resource
import statistics
import sys
import time

BATCH = {"seed-mlp": 64, "seed-eager": 64, "coldstart": 64, "mlpwide": 256, "autoenc": 256, "convnet": 128, "resnet20": 128, "gpt": 12,
         "lstm": 32, "gru": 32}
# Samples that are images, [height, width, channels].
IMAGES = {"convnet": (28, 28, 1), "resnet20": (32, 32, 3)}
# Samples that are words' numbers: (how many words there are, steps, classes).
WORDS = {"lstm": (20000, 200, 2), "gru": (20000, 200, 2)}
SIZES = {
    "seed-mlp": [784, 64, 64, 10], "seed-eager": [784, 64, 64, 10], "coldstart": [784, 64, 64, 10],
    "mlpwide": [784, 2048, 2048, 10], "autoenc": [784, 128, 64, 32, 64, 128, 784]}
GPT = {"kinds": 65, "steps": 64, "width": 128, "heads": 4, "blocks": 4}
EPOCHS = 6  # the first is left out: it compiles


def limit_threads(count):
    """To be called before a framework is imported: each takes its thread count from the processors that it may use."""
    if count:
        os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = str(count)
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def thread_count():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def mnist():
    """Train images and labels, test images and labels; images are float32 in 0…1, shape (n, 784), labels int32."""
    import numpy as np

    folder = pathlib.Path(os.environ.get("BACKPROP_DATA", pathlib.Path.home() / ".cache/backprop")) / "mnist"

    def read(name, header):
        raw, packed = folder / name, folder / f"{name}.gz"
        if not raw.exists() and not packed.exists():
            sys.exit(f"{raw} is missing: run scripts/fetch-data mnist")
        return np.frombuffer(raw.read_bytes() if raw.exists() else gzip.decompress(packed.read_bytes()), "uint8")[header:]

    found = []
    for part in ("train", "t10k"):
        found.append((read(f"{part}-images-idx3-ubyte", 16).reshape(-1, 784) / np.float32(255)).astype("float32"))
        found.append(read(f"{part}-labels-idx1-ubyte", 8).astype("int32"))
    return found


def random_batch(bench):
    """One batch for the benchmarks of a single step: inputs and what they are to give."""
    import numpy as np

    rng = np.random.default_rng(0)
    if bench in WORDS:
        words, steps, classes = WORDS[bench]
        x = rng.integers(0, words, (BATCH[bench], steps)).astype("int32")
        return x, rng.integers(0, classes, BATCH[bench]).astype("int32")
    if bench == "gpt":
        return rng.integers(0, GPT["kinds"], (2, BATCH[bench], GPT["steps"])).astype("int32")
    x = rng.random((BATCH[bench],) + IMAGES.get(bench, (784,)), dtype="float32")
    return x, x if bench == "autoenc" else rng.integers(0, 10, BATCH[bench]).astype("int32")


def time_steps(step):
    """Seconds of each call of step, which must not return before its work is done, after five that don't count. It gives the
    loss, which steps on one batch must lower."""
    first = float(step())
    for _ in range(4):
        step()
    samples, end = [], time.perf_counter() + 8
    while len(samples) < 10 or (time.perf_counter() < end and len(samples) < 300):
        start = time.perf_counter()
        step()
        samples.append(time.perf_counter() - start)
    last = float(step())
    if not last < first:
        sys.exit(f"the loss was {first} at first and is {last} now")
    return samples


def report(bench, arm, unit, samples, accuracy=None, children=False):
    usage = resource.getrusage(resource.RUSAGE_CHILDREN if children else resource.RUSAGE_SELF)
    found = {
        "name": bench, "arm": arm, "unit": unit, "median_s": statistics.median(samples), "min_s": min(samples),
        "peak_rss_mb": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6, "threads": thread_count()}
    if accuracy is not None:
        found["accuracy"] = float(accuracy)
    print(json.dumps(found), flush=True)
