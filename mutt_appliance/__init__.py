"""MUTT, the Multi-Use Telemetry Tool: syslog and SNMP traps in, audit rows and alerts out.

The way of an event, and where to read it:

    ingestor/    POST /ingest: authenticate, check, queue        -> mutt:ingest_queue
    alerter/     claim a batch, match rules, decide, audit       -> PostgreSQL, mutt:alert_queue
    forwarder/   claim, ask the shared rate limiter, post        -> Moogsoft
    queueing/    the reliable queue in Redis that holds them all together
    supervisor/  starts, watches, restarts and stops the processes above
"""

from mutt_appliance.held_back import hold_back

hold_back()
__version__ = "2.5.0"
