//go:build tools

// Package helm pins the version of Helm that the chart is checked with.
package helm

import _ "helm.sh/helm/v3/cmd/helm"
