"""Benchmarks: one module a section, each with a `SECTION`; run by `script/bench`."""
