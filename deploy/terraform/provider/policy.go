package main

import (
	"context"
	"encoding/json"
	"net/http"
)

type policyChange struct {
	Document  json.RawMessage `json:"document"`
	DryRun    bool            `json:"dry_run"`
	Confirmed bool            `json:"confirmed"`
}

// outlook is what a policy does, or would do.
type outlook struct {
	Members   int      `json:"members"`
	Cut       []string `json:"cut"`
	OverBrake bool     `json:"over_brake"`
}

func (c *controller) setPolicy(ctx context.Context, change policyChange) (outlook, error) {
	var found outlook
	return found, c.call(ctx, http.MethodPut, "/v1/policy", change, &found)
}

// policyInForce is all of the policy, as JSON in one form.
func (c *controller) policyInForce(ctx context.Context) (string, error) {
	var found struct {
		Policy any `json:"policy"`
	}
	if err := c.call(ctx, http.MethodGet, "/v1/policy", nil, &found); err != nil {
		return "", err
	}
	text, err := json.Marshal(found.Policy)
	return string(text), err
}
