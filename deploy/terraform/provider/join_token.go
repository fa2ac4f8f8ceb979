package main

import (
	"context"
	"net/http"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

const aYear = 31_536_000

// tokenScope is what a join token is good for (src/contract/admin.ts).
type tokenScope struct {
	NodeID  types.String `tfsdk:"node_id"`
	Names   types.String `tfsdk:"names"`
	Group   types.String `tfsdk:"group"`
	Uses    types.Int64  `tfsdk:"uses"`
	Silence types.Int64  `tfsdk:"silence_s"`
	TTL     types.Int64  `tfsdk:"ttl_s"`
}

var (
	nodeName = []validator.String{stringvalidator.RegexMatches(
		regexp.MustCompile(`^[a-z0-9-]{1,63}$`), "expected a node's name: 1 to 63 of a-z, 0-9 and hyphen")}
	nodeNames = []validator.String{stringvalidator.RegexMatches(
		regexp.MustCompile(`^[a-z0-9*-]{1,63}$`), "expected names such as web-*")}
	groupName   = []validator.String{stringvalidator.LengthBetween(1, 64)}
	useCount    = []validator.Int64{int64validator.Between(1, 100_000)}
	silenceTime = []validator.Int64{int64validator.Between(10, aYear)}
	lifetime    = []validator.Int64{int64validator.Between(1, aYear)}
)

const (
	nodeIDText  = "The one node that may use it; without it, any whose name is free."
	namesText   = "Names that may use it, such as web-*; without it, any."
	groupText   = "A group of the policy whose nodes may use it; without it, any."
	usesText    = "How many nodes may use it; without it, one."
	silenceText = "Nodes that it enrols are removed when nothing was heard of them for so many seconds; " +
		"without it, they stay."
	ttlText       = "For how many seconds it can be used."
	expiresAtText = "Until when it can be used, RFC 3339."
)

type tokenRequest struct {
	NodeID  *string `json:"node_id"`
	TTL     int64   `json:"ttl_s"`
	Names   *string `json:"names"`
	Group   *string `json:"group"`
	Uses    int64   `json:"uses"`
	Silence *int64  `json:"silence_s"`
}

type issuedToken struct {
	ID        string `json:"id"`
	Token     string `json:"token"`
	ExpiresAt int64  `json:"expires_at"`
}

func (c *controller) issueToken(ctx context.Context, scope tokenScope) (issuedToken, error) {
	request := tokenRequest{
		NodeID:  scope.NodeID.ValueStringPointer(),
		TTL:     scope.TTL.ValueInt64(),
		Names:   scope.Names.ValueStringPointer(),
		Group:   scope.Group.ValueStringPointer(),
		Uses:    1,
		Silence: scope.Silence.ValueInt64Pointer(),
	}
	if !scope.Uses.IsNull() {
		request.Uses = scope.Uses.ValueInt64()
	}
	var issued issuedToken
	return issued, c.call(ctx, http.MethodPost, "/v1/tokens", request, &issued)
}

// isOpenToken tells whether a token can still be used.
func (c *controller) isOpenToken(ctx context.Context, id string) (bool, error) {
	var list struct {
		Tokens []issuedToken `json:"tokens"`
	}
	if err := c.call(ctx, http.MethodGet, "/v1/tokens", nil, &list); err != nil {
		return false, err
	}
	for _, one := range list.Tokens {
		if one.ID == id {
			return true, nil
		}
	}
	return false, nil
}

// withdrawToken is content where the token was used up, withdrawn or forgotten before.
func (c *controller) withdrawToken(ctx context.Context, id string) error {
	err := c.call(ctx, http.MethodDelete, "/v1/tokens/"+id, nil, nil)
	if isRefusal(err, "not_found") {
		return nil
	}
	return err
}
