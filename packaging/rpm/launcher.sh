#!/bin/bash
# mutt and mutt-ctl: the one-file executable by the called name, with a folder to unpack into.
# It unpacks into TMPDIR or /tmp, and on hardened hosts /tmp and /var/tmp are noexec.
if [ -z "${TMPDIR:-}" ]; then
    for folder in /run/mutt-unpack "${XDG_RUNTIME_DIR:-}"; do
        if [ -n "$folder" ] && [ -w "$folder" ] && [ -x "$folder" ]; then
            export TMPDIR=$folder
            break
        fi
    done
fi
exec -a "${0##*/}" /usr/libexec/mutt/mutt "$@"
