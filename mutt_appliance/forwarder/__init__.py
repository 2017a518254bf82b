"""The forwarder: alerts out of Redis to Moogsoft's webhook, at a shared rate, retried without sleeping.

retry     what an answer or a failure means, and when to try again (pure)
subject   what an alert is about: interface, neighbour, trap instance (pure)
moog      an alert as Moogsoft wants it (pure)
jobs      from a claimed item to a request, from its result to an outcome (pure)
auth      the header that carries the key
sender    one POST
holdings  what this process holds
session   the lease and the connection to the queue, and how to find back after trouble
service   the loop
"""
