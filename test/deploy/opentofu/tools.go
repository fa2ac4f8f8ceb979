//go:build tools

// The version of OpenTofu that the tests apply deploy/terraform with.
package tools

import _ "github.com/opentofu/opentofu/cmd/tofu"
