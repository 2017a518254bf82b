"""The pages that people look at, a module for each thing they are about."""

from mutt_appliance.webui.pages import (
    api_document,
    audit_log,
    config,
    dashboard,
    dead_letters,
    hosts,
    keys,
    processes,
    rule_files,
    rules,
    sign_in,
)

PAGES = (
    *dashboard.PAGES,
    *rules.PAGES,
    *rule_files.PAGES,
    *audit_log.PAGES,
    *hosts.PAGES,
    *dead_letters.PAGES,
    *keys.PAGES,
    *config.PAGES,
    *processes.PAGES,
    *sign_in.PAGES,
    *api_document.PAGES,
)
