"""The pages that people look at, a module for each thing they are about."""

from mutt_appliance.webui.pages import api_document, sign_in

PAGES = (
    *sign_in.PAGES,
    *api_document.PAGES,
)
