package main

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

const (
	// How often a node that is waited for is looked for.
	lookInterval = time.Second
	aDay         = 86_400
)

// node is a machine that has enrolled by itself, with keys that never left it.
type node struct{ controller *controller }

func newNodeResource() resource.Resource { return &node{} }

type nodeModel struct {
	NodeID        types.String `tfsdk:"node_id"`
	Wait          types.Int64  `tfsdk:"wait_s"`
	TunnelAddress types.String `tfsdk:"tunnel_address"`
}

func (*node) Metadata(_ context.Context, _ resource.MetadataRequest, answer *resource.MetadataResponse) {
	answer.TypeName = "meshnet_node"
}

func (*node) Schema(_ context.Context, _ resource.SchemaRequest, answer *resource.SchemaResponse) {
	answer.Schema = schema.Schema{
		Description: "A node of the mesh. It enrols by itself, with a join token; creating this waits for it, and " +
			"destroying it removes it from the mesh for good.",
		Attributes: map[string]schema.Attribute{
			"node_id": schema.StringAttribute{
				Required: true, Validators: nodeName, Description: "The name that it enrols as.",
				PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
			},
			"wait_s": schema.Int64Attribute{
				Optional:    true,
				Validators:  []validator.Int64{int64validator.Between(0, aDay)},
				Description: "For how many seconds it is waited for; without it, the node must be there.",
			},
			"tunnel_address": schema.StringAttribute{
				Computed: true, Description: "Its address in the mesh.",
				PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
			},
		},
	}
}

func (r *node) Configure(_ context.Context, request resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	r.controller = theController(request.ProviderData)
}

func (r *node) Create(ctx context.Context, request resource.CreateRequest, answer *resource.CreateResponse) {
	var model nodeModel
	answer.Diagnostics.Append(request.Plan.Get(ctx, &model)...)
	if answer.Diagnostics.HasError() {
		return
	}
	found, err := r.awaited(ctx, model)
	if err != nil {
		answer.Diagnostics.AddAttributeError(path.Root("node_id"), "The node is not there", err.Error())
		return
	}
	model.TunnelAddress = types.StringValue(found.TunnelAddress)
	answer.Diagnostics.Append(answer.State.Set(ctx, &model)...)
}

func (r *node) awaited(ctx context.Context, model nodeModel) (*nodeStatus, error) {
	id := model.NodeID.ValueString()
	limit := time.Duration(model.Wait.ValueInt64()) * time.Second
	for began := time.Now(); ; {
		found, err := r.controller.node(ctx, id)
		if err != nil || found != nil {
			return found, err
		}
		if time.Since(began) >= limit {
			return nil, fmt.Errorf("%s has not enrolled within %s: look at `journalctl -u meshnet-node` on its machine",
				id, limit)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lookInterval):
		}
	}
}

func (r *node) Read(ctx context.Context, request resource.ReadRequest, answer *resource.ReadResponse) {
	var model nodeModel
	answer.Diagnostics.Append(request.State.Get(ctx, &model)...)
	if answer.Diagnostics.HasError() {
		return
	}
	found, err := r.controller.node(ctx, model.NodeID.ValueString())
	if err != nil {
		answer.Diagnostics.AddError("The node could not be looked up", err.Error())
		return
	}
	if found == nil {
		answer.State.RemoveResource(ctx)
		return
	}
	model.TunnelAddress = types.StringValue(found.TunnelAddress)
	answer.Diagnostics.Append(answer.State.Set(ctx, &model)...)
}

// Update has `wait_s` to remember, and nothing to do.
func (*node) Update(ctx context.Context, request resource.UpdateRequest, answer *resource.UpdateResponse) {
	var model nodeModel
	answer.Diagnostics.Append(request.Plan.Get(ctx, &model)...)
	if !answer.Diagnostics.HasError() {
		answer.Diagnostics.Append(answer.State.Set(ctx, &model)...)
	}
}

func (r *node) Delete(ctx context.Context, request resource.DeleteRequest, answer *resource.DeleteResponse) {
	var model nodeModel
	answer.Diagnostics.Append(request.State.Get(ctx, &model)...)
	if answer.Diagnostics.HasError() {
		return
	}
	if err := r.controller.removeNode(ctx, model.NodeID.ValueString()); err != nil {
		answer.Diagnostics.AddError("The node was not removed", err.Error())
	}
}

// ImportState takes a node's name.
func (*node) ImportState(ctx context.Context, request resource.ImportStateRequest, answer *resource.ImportStateResponse) {
	resource.ImportStatePassthroughID(ctx, path.Root("node_id"), request, answer)
}
