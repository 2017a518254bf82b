"""How fast MUTT is, each figure beside a reference measured in the same run.

__main__     the command line: which benches, for how long
plan         the benches by name, and what is kept when one fails
measure      repeat in turns, take the median
report       targets, the table, and the JSON object of the last line
stores       the Redis and the PostgreSQL that all benches share
appliance    `mutt run`, or only some of its roles, on these stores
traffic      seeded rules and messages that look like those of network devices
sizes        bytes of an event in each place where it lies
soak/        `python -m bench.soak`: half an hour at half of the capacity
"""
