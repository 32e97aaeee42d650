"""Speed and memory on this machine. Public names: `run_benchmark`, `describe_machine`, `describe_software`."""

from SegAnyPETLib.benchmark.bench import run_benchmark
from SegAnyPETLib.benchmark.machine import describe_machine, describe_software, peak_memory_mb

__all__ = ["describe_machine", "describe_software", "peak_memory_mb", "run_benchmark"]
