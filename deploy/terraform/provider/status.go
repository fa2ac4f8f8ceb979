package main

import (
	"context"
	"net/http"
)

// status is who is in, who is out, and why (src/contract/epoch.ts).
type status struct {
	MeshID   string       `json:"mesh_id"`
	Epoch    int64        `json:"epoch"`
	Version  int64        `json:"version"`
	NotReady *string      `json:"not_ready"`
	Nodes    []nodeStatus `json:"nodes"`
}

type nodeStatus struct {
	NodeID        string   `json:"node_id"`
	TunnelAddress string   `json:"tunnel_address"`
	Allowed       bool     `json:"allowed"`
	Reason        string   `json:"reason"`
	Explanation   string   `json:"explanation"`
	Score         *float64 `json:"score"`
}

func (c *controller) status(ctx context.Context) (status, error) {
	var found status
	return found, c.call(ctx, http.MethodGet, "/v1/epoch", nil, &found)
}

// node is one enrolled node; nil: there is none of that name.
func (c *controller) node(ctx context.Context, id string) (*nodeStatus, error) {
	found, err := c.status(ctx)
	if err != nil {
		return nil, err
	}
	for _, one := range found.Nodes {
		if one.NodeID == id {
			return &one, nil
		}
	}
	return nil, nil
}

// removeNode is content where the node was removed before.
func (c *controller) removeNode(ctx context.Context, id string) error {
	err := c.call(ctx, http.MethodDelete, "/v1/nodes/"+id, nil, nil)
	if isRefusal(err, "unknown_node") {
		return nil
	}
	return err
}
