"""Claims events, matches rules, decides, audits, and hands alerts on.

service   the loop: claim a batch, process it, write the audit rows, settle
batch     what becomes of each event of a batch (pure)

The decisions themselves are in the package `rules`.
"""
