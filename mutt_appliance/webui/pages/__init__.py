"""The pages that people look at, a module for each thing they are about."""

from mutt_appliance.webui.pages import (
    api_document,
    config,
    dashboard,
    processes,
    rule_files,
    rules,
    sign_in,
)

PAGES = (
    *dashboard.PAGES,
    *rules.PAGES,
    *rule_files.PAGES,
    *config.PAGES,
    *processes.PAGES,
    *sign_in.PAGES,
    *api_document.PAGES,
)
