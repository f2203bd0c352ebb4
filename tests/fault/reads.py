"""Readers in other processes beside writers: every value whole, none older than acknowledged, none past its life.

    reads.py [READS]"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import tap
from load import Load
from scenario import Larder

READS = 10_000_000
SECONDS = 1900


def main():
    reads = int(sys.argv[1]) if len(sys.argv) > 1 else READS
    report, larder = tap.Report(), Larder()
    with report.case(f"{reads:,} checked reads of 3 processes beside 1 writer: 0 torn, 0 stale"):
        try:
            # Small enough that eviction and recycling go on all the time.
            larder.configure("[namespace default]\nl1_bytes = 4MiB\n")
            larder.start()
            load = Load(larder, writers=1, readers=3, reads=reads)
            said = load.wait(SECONDS)
            assert load.process.returncode == 0, said
            figures = load.figures()
            print("# figure: " + " ".join(f"{k} {v}" for k, v in figures.items() if v), flush=True)
            assert figures["near_hits"] > reads // 10, f"too few hits in shared memory: {figures}"
            assert figures["acks"] > 1000, f"too few changes: {figures}"
        finally:
            larder.finish()
    report.end()


if __name__ == "__main__":
    main()
