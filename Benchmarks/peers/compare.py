"""Runs a benchmark's arms in turn, ours and the peers', each in a fresh process, over several rounds; prints medians across
the rounds, how ours compares, and whether each figure that Backprop is held to is reached."""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
OURS = "backprop"
ONE_THREAD = "backprop, 1 thread"

# Ours at most this many times the arm's median (None: the best peer of the run).
RATIOS = {
    "seed-mlp": [(OURS, "jax-scan", 0.50), (OURS, "torch-fused", 0.20), (OURS, "keras-tensorflow", 0.08),
                 (ONE_THREAD, "jax-scan", 1.0)],
    "seed-eager": [(OURS, "torch-eager", 1.0)],
    "mlpwide": [(OURS, None, 0.90)],
    "autoenc": [(OURS, None, 0.60)],
    "convnet": [(OURS, None, 0.65)],
    "resnet20": [(OURS, None, 0.75)],
    "lstm": [(OURS, None, 0.65)],
    "gru": [(OURS, None, 0.65)],
    "gpt": [(OURS, None, 0.60)],
    "latency-guide": [(OURS, None, 0.70)],
    "latency-convnet": [(OURS, None, 0.70)],
}
# Names that stand for several.
GROUPS = {"latency": ["latency-guide", "latency-convnet"]}
# Benchmarks whose peak memory is at most half of the best peer's.
HALF_MEMORY = {"convnet", "resnet20", "lstm", "gru", "gpt"}
# (field, what it is, factor to its unit, limit)
LIMITS = {
    "seed-mlp": [("peak_rss_mb", "peak memory, MB", 1, 200), ("overhead_s", "a step beside its kernels, µs", 1e6, 3)],
    "coldstart": [("median_s", "to the first step's end, s", 1, 0.15)],
}


def last_object(command):
    """The JSON object in a command's last line; None, with what it said, where it fails."""
    found = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    lines = found.stdout.strip().splitlines()
    if found.returncode == 0 and lines:
        return json.loads(lines[-1])
    said = found.stderr.strip().splitlines()
    print(f"{' '.join(command[-4:])} failed: {said[-1] if said else 'no output'}", file=sys.stderr)
    return None


def commands(options, folder):
    """What runs each arm. Ours, which comes first, leaves in the folder what the peers of some need."""
    threads = ["--threads", str(options.threads)] if options.threads else []
    ours, peer = [options.ours, options.bench, "--json"], [sys.executable, str(HERE / "run"), options.bench]
    if options.bench.startswith("latency"):
        threads += ["--exchange", folder]
    found = {OURS: ours + threads}
    if options.bench == "seed-mlp" and options.threads != 1:
        found[ONE_THREAD] = ours + ["--threads", "1"]
    listed = subprocess.run([sys.executable, str(HERE / "run"), "--list", options.bench], capture_output=True, text=True)
    for arm in listed.stdout.split():
        if not options.arms or arm in options.arms:
            found[arm] = peer + [arm] + threads
    return found


def measure(options, folder):
    """One object for each arm: the median of its rounds' medians, the least of all, the largest memory."""
    to_run, rounds = commands(options, folder), {}
    for number in range(options.rounds):
        # Backwards every other round, so that a machine that grows slower or faster treats all alike.
        for arm in list(to_run)[::-1 if number % 2 else 1]:
            print(f"round {number + 1} of {options.rounds}: {arm}", file=sys.stderr)
            found = last_object(to_run[arm])
            if found:
                rounds.setdefault(arm, []).append(found)
            else:
                del to_run[arm]
    results = []
    for arm in to_run:
        first = dict(rounds[arm][0], arm=arm, rounds=len(rounds[arm]))
        first["min_s"] = min(r["min_s"] for r in rounds[arm])
        first["peak_rss_mb"] = max(r["peak_rss_mb"] for r in rounds[arm])
        for field in ("median_s", "accuracy", "overhead_s"):
            if first.get(field) is not None:
                first[field] = statistics.median(r[field] for r in rounds[arm])
        results.append(first)
    return results


def show(results, bench):
    ours = next((r for r in results if r["arm"] == OURS), None)
    unit, scale = ("ms", 1e3) if results[0]["median_s"] < 0.05 or "step" == results[0]["unit"].split()[-1] else ("s", 1)
    print(f"{bench}, {unit} {results[0]['unit']}; medians over {results[0]['rounds']} rounds, {results[0]['threads']} threads")
    print(f"{'':20s} {'median':>9s} {'least':>9s} {'ours/it':>8s} {'by least':>8s} {'memory':>9s}  accuracy")
    for r in sorted(results, key=lambda r: r["median_s"]):
        compared = ours is not None and r is not ours
        ratio = " ".join(f"{ours[field] / r[field]:8.3f}" if compared else " " * 8 for field in ("median_s", "min_s"))
        accuracy = f"{r['accuracy']:.4f}" if r.get("accuracy") is not None else ""
        print(f"{r['arm']:20s} {r['median_s'] * scale:9.4g} {r['min_s'] * scale:9.4g} {ratio} {r['peak_rss_mb']:6.0f} MB  {accuracy}")


def verdicts(results, bench):
    """Lines that say of each figure whether it is reached."""
    by_arm = {r["arm"]: r for r in results}
    peers = [r for r in results if r["arm"] not in (OURS, ONE_THREAD)]
    for ours, other, limit in RATIOS.get(bench, []):
        against = by_arm.get(other) if other else min(peers, key=lambda r: r["median_s"], default=None)
        if ours in by_arm and against:
            ratio = by_arm[ours]["median_s"] / against["median_s"]
            yield f"{ours} / {against['arm']}: {ratio:.3f}, at most {limit:.2f}", ratio <= limit
    if bench in HALF_MEMORY and OURS in by_arm and peers:
        least = min(r["peak_rss_mb"] for r in peers)
        value = by_arm[OURS]["peak_rss_mb"]
        yield f"peak memory, MB: {value:.0f}, at most half of {least:.0f}", value <= least / 2
    for field, what, factor, limit in LIMITS.get(bench, []):
        value = by_arm.get(OURS, {}).get(field)
        if value is not None:
            yield f"{what}: {value * factor:.3g}, at most {limit}", value * factor <= limit


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bench")
    parser.add_argument("--ours", required=True, help="the built benchmarks executable")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--arms", type=lambda text: text.split(","), help="only these peers")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for options.bench in GROUPS.get(options.bench, [options.bench]):
        with tempfile.TemporaryDirectory() as folder:
            compare(options, folder)


def compare(options, folder):
    results = measure(options, folder)
    if options.json:
        for result in results:
            print(json.dumps(result))
    elif results:
        show(results, options.bench)
    for text, reached in verdicts(results, options.bench):
        print(f"{'reached    ' if reached else 'NOT reached'} {text}", file=sys.stderr if options.json else sys.stdout)


main()
