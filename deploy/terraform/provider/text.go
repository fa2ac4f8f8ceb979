package main

import (
	"time"

	"github.com/hashicorp/terraform-plugin-framework/types"
)

// timeText is a time in ms since 1970, RFC 3339.
func timeText(ms int64) types.String {
	return types.StringValue(time.UnixMilli(ms).UTC().Format(time.RFC3339))
}
