package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-jsontypes/jsontypes"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// policy is the one policy of the mesh.
type policy struct{ controller *controller }

func newPolicyResource() resource.Resource { return &policy{} }

type policyModel struct {
	Document  jsontypes.Normalized `tfsdk:"document"`
	Confirmed types.Bool           `tfsdk:"confirmed"`
	InForce   types.String         `tfsdk:"in_force"`
}

func (*policy) Metadata(_ context.Context, _ resource.MetadataRequest, answer *resource.MetadataResponse) {
	answer.TypeName = "meshnet_policy"
}

func (*policy) Schema(_ context.Context, _ resource.SchemaRequest, answer *resource.SchemaResponse) {
	answer.Schema = schema.Schema{
		Description: "The policy by which the mesh is judged. A mesh has one: let one configuration set it. " +
			"Destroying this leaves the policy in force. Needs the role admin, to plan as well.",
		Attributes: map[string]schema.Attribute{
			"document": schema.StringAttribute{
				Required: true, CustomType: jsontypes.NormalizedType{},
				Description: "A policy document, JSON, as `meshnet policy set` takes it.",
			},
			"confirmed": schema.BoolAttribute{
				Optional:    true,
				Description: "It is meant, also if it would cut more members at once than the brake believes.",
			},
			"in_force": schema.StringAttribute{
				Computed:    true,
				Description: "All of the policy, with what the document leaves out, JSON.",
			},
		},
	}
}

func (r *policy) Configure(_ context.Context, request resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	r.controller = theController(request.ProviderData)
}

// ModifyPlan asks the controller what the document would do, so that a plan shows what is wrong with it.
func (r *policy) ModifyPlan(ctx context.Context, request resource.ModifyPlanRequest, answer *resource.ModifyPlanResponse) {
	if request.Plan.Raw.IsNull() {
		if r.controller != nil {
			answer.Diagnostics.AddWarning("The policy stays in force", "Destroying it only forgets it here.")
		}
		return
	}
	var planned, present policyModel
	answer.Diagnostics.Append(request.Plan.Get(ctx, &planned)...)
	if !request.State.Raw.IsNull() {
		answer.Diagnostics.Append(request.State.Get(ctx, &present)...)
	}
	if answer.Diagnostics.HasError() || planned.Document.IsUnknown() {
		return
	}
	if isSame, found := planned.Document.StringSemanticEquals(ctx, present.Document); isSame {
		answer.Diagnostics.Append(found...)
		answer.Diagnostics.Append(answer.Plan.SetAttribute(ctx, path.Root("in_force"), present.InForce)...)
		return
	}
	would, err := r.controller.setPolicy(ctx, policyChange{
		Document: json.RawMessage(planned.Document.ValueString()), DryRun: true,
	})
	if err != nil {
		answer.Diagnostics.AddAttributeError(path.Root("document"), "The controller would refuse this policy", err.Error())
		return
	}
	if len(would.Cut) == 0 {
		return
	}
	who := fmt.Sprintf("%d of %d members would be cut: %s.", len(would.Cut), would.Members,
		printable(strings.Join(would.Cut, ", ")))
	if would.OverBrake && !planned.Confirmed.ValueBool() {
		answer.Diagnostics.AddAttributeError(path.Root("document"), "The policy would cut too many members at once",
			who+" If it is meant, set confirmed = true.")
		return
	}
	answer.Diagnostics.AddAttributeWarning(path.Root("document"), "The policy would cut members", who)
}

// set sets what is planned and returns what is in force then.
func (r *policy) set(ctx context.Context, model *policyModel) error {
	_, err := r.controller.setPolicy(ctx, policyChange{
		Document:  json.RawMessage(model.Document.ValueString()),
		Confirmed: model.Confirmed.ValueBool(),
	})
	if err != nil {
		return err
	}
	inForce, err := r.controller.policyInForce(ctx)
	model.InForce = types.StringValue(inForce)
	return err
}

func (r *policy) Create(ctx context.Context, request resource.CreateRequest, answer *resource.CreateResponse) {
	var model policyModel
	answer.Diagnostics.Append(request.Plan.Get(ctx, &model)...)
	if answer.Diagnostics.HasError() {
		return
	}
	if err := r.set(ctx, &model); err != nil {
		answer.Diagnostics.AddAttributeError(path.Root("document"), "The policy was not set", err.Error())
		return
	}
	answer.Diagnostics.Append(answer.State.Set(ctx, &model)...)
}

// Update sets the policy only where it is another: `confirmed` alone changes nothing.
func (r *policy) Update(ctx context.Context, request resource.UpdateRequest, answer *resource.UpdateResponse) {
	var model policyModel
	answer.Diagnostics.Append(request.Plan.Get(ctx, &model)...)
	if answer.Diagnostics.HasError() {
		return
	}
	if model.InForce.IsUnknown() {
		if err := r.set(ctx, &model); err != nil {
			answer.Diagnostics.AddAttributeError(path.Root("document"), "The policy was not set", err.Error())
			return
		}
	}
	answer.Diagnostics.Append(answer.State.Set(ctx, &model)...)
}

// Read shows a policy that somebody else has set as the document, so that the next plan sets it right.
func (r *policy) Read(ctx context.Context, request resource.ReadRequest, answer *resource.ReadResponse) {
	var model policyModel
	answer.Diagnostics.Append(request.State.Get(ctx, &model)...)
	if answer.Diagnostics.HasError() {
		return
	}
	inForce, err := r.controller.policyInForce(ctx)
	if err != nil {
		answer.Diagnostics.AddError("The policy could not be read", err.Error())
		return
	}
	if inForce != model.InForce.ValueString() {
		model.Document = jsontypes.NewNormalizedValue(inForce)
		model.InForce = types.StringValue(inForce)
	}
	answer.Diagnostics.Append(answer.State.Set(ctx, &model)...)
}

func (*policy) Delete(context.Context, resource.DeleteRequest, *resource.DeleteResponse) {}
