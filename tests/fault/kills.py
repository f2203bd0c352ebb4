"""kill -9 at random moments under load: the daemon comes back by itself, fast, with its entries, and nothing that was
acknowledged un-happens.  SIGSTOP, SIGCONT and readers shot in a read are mixed in.

    kills.py [--kills N] [--seed S]"""

import argparse
import os
import random
import signal
import statistics
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import tap
from load import Load
from scenario import Larder, until
from tree import product, run

WRITERS, READERS = 2, 3
RESTART_SECONDS = 1.0     # the promise, for the median: one start in a crowd may have waited for a processor
RESTART_SECONDS_MAX = 5.0


def pause(chance, least, most):
    """Not to wait for anything: the moment of the next blow is what is random."""
    time.sleep(chance.uniform(least, most))


def stop_and_go(larder, load, chance):
    larder.signal(signal.SIGSTOP)
    pause(chance, 0.0, 0.9)  # shorter and longer than the lease and than a change's deadline
    larder.signal(signal.SIGCONT)
    pause(chance, 0.0, 0.2)


def shoot_a_reader(larder, load, chance):
    pids = load.reader_pids()
    if pids:
        os.kill(chance.choice(pids), signal.SIGKILL)


def nothing(larder, load, chance):
    pass


def answered_again(larder):
    """Seconds from the start of the daemon to its first answer."""
    begin = time.monotonic()
    larder.start()
    return time.monotonic() - begin


def one_round(larder, load, chance):
    pause(chance, 0.05, 1.0)  # changes are held back until the lease of the one killed before is over: 0.5 s
    chance.choice([nothing, nothing, nothing, stop_and_go, shoot_a_reader])(larder, load, chance)
    larder.kill9()
    load.next_era()
    pause(chance, 0.0, 0.05)
    took = answered_again(larder)
    load.sound()
    return took


def hits_go_on(load):
    before = load.word("hits")
    until(lambda: load.word("hits") > before + 100, "hits after the restart")


def play(report, larder, kills, seed):
    chance, took = random.Random(seed), []
    print(f"# figure: seed {seed}", flush=True)
    with report.case(f"after {kills} kills under load it came back each time and nothing acknowledged un-happened"):
        larder.start()
        load = Load(larder, WRITERS, READERS, seed=seed)
        until(lambda: load.word("acks") > 1000, "load")
        for _ in range(kills):
            took.append(one_round(larder, load, chance))
        hits_go_on(load)
        load.sound()
        figures = load.figures()
        said = load.end()
        assert load.process.returncode == 0, said
        print("# figure: " + " ".join(f"{k} {v}" for k, v in figures.items() if v), flush=True)
    with report.case("the kills met a daemon at work: changes acknowledged, hits from memory, hits from the warm tier"):
        for name in ["acks", "near_hits", "warm_hits", "misses"]:
            assert figures[name] > kills, f"{name}: {figures[name]}"
    with report.case(f"it answers within {RESTART_SECONDS:g} s of its start (median)"):
        print(f"# figure: first answer after start: median {statistics.median(took) * 1000:.0f} ms, "
              f"max {max(took) * 1000:.0f} ms", flush=True)
        assert statistics.median(took) < RESTART_SECONDS and max(took) < RESTART_SECONDS_MAX, sorted(took)[-5:]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--kills", type=int, default=20)
    arguments.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = arguments.parse_args()
    report, larder = tap.Report(), Larder()
    with report.case("the checker notices seeded wrong histories, and nothing else"):
        proof = run(product("churn"), "prove")
        assert proof.returncode == 0, proof.stdout
    with tempfile.TemporaryDirectory(prefix="larder-kills.") as disk:
        larder.state = os.path.join(disk, "state")  # a real disk, not the tmpfs of the socket
        try:
            play(report, larder, options.kills, options.seed)
        finally:
            with report.case("the daemon ended only when it was killed"):
                larder.finish()
    report.end()


if __name__ == "__main__":
    main()
