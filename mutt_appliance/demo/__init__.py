"""`mutt demo`: a whole appliance with sample rules and traffic, on this machine only.

places      the folder, the ports and the settings of the demonstration
appliance   `mutt run` as a process of its own: start, reload, stop
messages    syslog lines and trap lines as devices write them (pure)
traffic     sends them at a rate, and again what was not answered
receiver    stands for Moogsoft's webhook, and fails now and then
ledger      what became of every event (pure), read from the stores at the end
observer    counters, queue depths and process states, once a second
view        how that looks on a terminal (pure)
report      lines of progress and the summary (pure)
session     all of it in order
"""
