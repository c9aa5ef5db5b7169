"""Energy: meters that read hardware counters, a cost model where there are none, joules with their provenance."""
