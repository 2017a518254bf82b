#!/bin/bash
# make-repo.sh: dist/repo, a dnf repository of dist/rpm with a mutt.repo to copy to /etc/yum.repos.d.
#   REPO_URL=https://…     where the folder will be served (default: where it is now)
#   RPM_SIGN_KEY=name      sign the list of packages and put the public key beside it
#   RPM_DIR, REPO_DIR      other folders
set -euo pipefail
cd "$(dirname "$0")/.."
packages=${RPM_DIR:-dist/rpm}
repo=${REPO_DIR:-dist/repo}
if ! compgen -G "$packages/*.rpm" >/dev/null; then
    echo "make repo: $packages: there is no package: make rpm first" >&2
    exit 1
fi
mkdir -p "$repo"
cp "$packages"/*.rpm "$repo/"
createrepo_c --quiet --update --general-compress-type=gz "$repo"
url=${REPO_URL:-file://$(readlink -f "$repo")}
gpg="gpgcheck=0"
if [ -n "${RPM_SIGN_KEY:-}" ]; then
    gpg --batch --yes --local-user "$RPM_SIGN_KEY" --armor --detach-sign "$repo/repodata/repomd.xml"
    gpg --batch --yes --armor --export "$RPM_SIGN_KEY" >"$repo/RPM-GPG-KEY-mutt"
    gpg="gpgcheck=1
repo_gpgcheck=1
gpgkey=$url/RPM-GPG-KEY-mutt"
fi
# The priority keeps the mail client of the same name out of the choice.
cat >"$repo/mutt.repo" <<END
[mutt]
name=MUTT appliance
baseurl=$url
enabled=1
$gpg
priority=10
END
echo "make repo: $repo: sudo cp $repo/mutt.repo /etc/yum.repos.d/ && sudo dnf install mutt"
