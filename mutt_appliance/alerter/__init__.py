"""Claims events, matches rules, decides, audits, and hands alerts on.

service   the loop: claim a batch, process it, write the audit rows, settle
batch     what becomes of each event of a batch (pure)
ruleset   which rule wins, all rules in one pass
decide    what a rule means for an event: handling, team, environment
patterns  unmatched messages folded, so that one kind of message is one counter
"""
