"""The whole appliance at half of its capacity for half an hour: does anything grow?

__main__     the command line: measure the capacity, run, report
load         events at a steady rate or as many as go through, and the webhook that takes the alerts
company      what people and monitoring do meanwhile: dashboards, scrapes, changed rules, reloads
samples      what is looked at: memory, descriptors, threads, keys of Redis, rows, queues
families     which key of Redis belongs to which declared family
verdict      from the samples to slopes, and to what must not be
"""
