package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

type statusSource struct{ controller *controller }

func newStatusDataSource() datasource.DataSource { return &statusSource{} }

type statusModel struct {
	MeshID   types.String               `tfsdk:"mesh_id"`
	Epoch    types.Int64                `tfsdk:"epoch"`
	NotReady types.String               `tfsdk:"not_ready"`
	Nodes    map[string]nodeStatusModel `tfsdk:"nodes"`
}

type nodeStatusModel struct {
	TunnelAddress types.String  `tfsdk:"tunnel_address"`
	Allowed       types.Bool    `tfsdk:"allowed"`
	Reason        types.String  `tfsdk:"reason"`
	Explanation   types.String  `tfsdk:"explanation"`
	Score         types.Float64 `tfsdk:"score"`
}

func (*statusSource) Metadata(_ context.Context, _ datasource.MetadataRequest, answer *datasource.MetadataResponse) {
	answer.TypeName = "meshnet_status"
}

func (*statusSource) Schema(_ context.Context, _ datasource.SchemaRequest, answer *datasource.SchemaResponse) {
	word := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Computed: true, Description: description}
	}
	answer.Schema = schema.Schema{
		Description: "Who is in, who is out, and why, at present. Needs the role view.",
		Attributes: map[string]schema.Attribute{
			"mesh_id":   word("The fingerprint of the controller's key, base64."),
			"epoch":     schema.Int64Attribute{Computed: true, Description: "The epoch in force."},
			"not_ready": word("Why no epochs are decided at present; null while they are."),
			"nodes": schema.MapNestedAttribute{
				Computed:    true,
				Description: "Every enrolled node, by name.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"tunnel_address": word("Its address in the mesh."),
					"allowed":        schema.BoolAttribute{Computed: true, Description: "Whether it is a member."},
					"reason":         word("Why, for programs."),
					"explanation":    word("Why, in a sentence."),
					"score": schema.Float64Attribute{
						Computed: true, Description: "The lowest among the required suites; null while one has none.",
					},
				}},
			},
		},
	}
}

func (s *statusSource) Configure(_ context.Context, request datasource.ConfigureRequest, _ *datasource.ConfigureResponse) {
	s.controller = theController(request.ProviderData)
}

func (s *statusSource) Read(ctx context.Context, _ datasource.ReadRequest, answer *datasource.ReadResponse) {
	found, err := s.controller.status(ctx)
	if err != nil {
		answer.Diagnostics.AddError("The status could not be read", err.Error())
		return
	}
	nodes := make(map[string]nodeStatusModel, len(found.Nodes))
	for _, one := range found.Nodes {
		nodes[one.NodeID] = nodeStatusModel{
			TunnelAddress: types.StringValue(one.TunnelAddress),
			Allowed:       types.BoolValue(one.Allowed),
			Reason:        types.StringValue(one.Reason),
			Explanation:   types.StringValue(one.Explanation),
			Score:         types.Float64PointerValue(one.Score),
		}
	}
	answer.Diagnostics.Append(answer.State.Set(ctx, &statusModel{
		MeshID:   types.StringValue(found.MeshID),
		Epoch:    types.Int64Value(found.Epoch),
		NotReady: types.StringPointerValue(found.NotReady),
		Nodes:    nodes,
	})...)
}
