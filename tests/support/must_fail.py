"""Runs a test program that has a rule left out: it must notice, by failing one of its cases, and not by dying.

usage: must_fail.py PROGRAM [ARGUMENT...]"""
import subprocess
import sys

import tap


def main():
    report = tap.Report()
    with report.case("the rule that is left out is missed by a test"):
        result = subprocess.run(sys.argv[1:], capture_output=True, text=True)
        noticed = [line for line in result.stdout.splitlines() if line.startswith("not ok")]
        assert noticed and result.returncode > 0, f"code {result.returncode}, nothing noticed\n{result.stdout[-2000:]}{result.stderr[-1000:]}"
        print("\n".join(f"# {line}" for line in noticed))
    report.end()


if __name__ == "__main__":
    main()
