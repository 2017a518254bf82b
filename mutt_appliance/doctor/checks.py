"""Every check, in the order of the report."""

from __future__ import annotations

from mutt_appliance.doctor.appliance import check_open_files, check_ports, check_runs, check_socket_unit
from mutt_appliance.doctor.certificates import check_certificates, check_doors
from mutt_appliance.doctor.configuration import check_configuration, check_protection, check_secrets
from mutt_appliance.doctor.database import check_database
from mutt_appliance.doctor.feeders import check_rsyslog, check_selinux, check_snmptrapd
from mutt_appliance.doctor.findings import Check
from mutt_appliance.doctor.host import (
    check_clock,
    check_disks,
    check_memory,
    check_programs,
    check_unpacking,
)
from mutt_appliance.doctor.outside import check_moogsoft, check_vault
from mutt_appliance.doctor.presented import check_store_certificates
from mutt_appliance.doctor.redis_store import check_redis
from mutt_appliance.doctor.retention import check_retention
from mutt_appliance.doctor.shards import check_shards

CHECKS = (
    Check("config", "Configuration", check_configuration),
    Check("secrets", "Configuration", check_secrets),
    Check("protection", "Configuration", check_protection),
    Check("certificates", "Configuration", check_certificates),
    Check("appliance", "Appliance", check_runs),
    Check("ports", "Appliance", check_ports),
    Check("tls", "Appliance", check_doors),
    Check("systemd", "Appliance", check_socket_unit),
    Check("limits", "Appliance", check_open_files),
    Check("unpack", "Appliance", check_unpacking),
    Check("embedded", "Stores", check_programs),
    Check("redis", "Stores", check_redis),
    Check("redis", "Stores", check_shards),
    Check("database", "Stores", check_database),
    Check("presented", "Stores", check_store_certificates),
    Check("audit", "Stores", check_retention),
    Check("rsyslog", "In front", check_rsyslog),
    Check("snmptrapd", "In front", check_snmptrapd),
    Check("selinux", "In front", check_selinux),
    Check("moogsoft", "Outside", check_moogsoft),
    Check("vault", "Outside", check_vault),
    Check("clock", "Machine", check_clock),
    Check("disk", "Machine", check_disks),
    Check("memory", "Machine", check_memory),
)
