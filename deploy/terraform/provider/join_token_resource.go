package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/boolplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// joinToken is a join token that is there until it is destroyed, and withdrawn then.
type joinToken struct{ controller *controller }

func newJoinTokenResource() resource.Resource { return &joinToken{} }

type joinTokenModel struct {
	tokenScope
	File      types.String `tfsdk:"file"`
	Renew     types.Bool   `tfsdk:"renew"`
	ID        types.String `tfsdk:"id"`
	Token     types.String `tfsdk:"token"`
	ExpiresAt types.String `tfsdk:"expires_at"`
	Usable    types.Bool   `tfsdk:"usable"`
}

func (*joinToken) Metadata(_ context.Context, _ resource.MetadataRequest, answer *resource.MetadataResponse) {
	answer.TypeName = "meshnet_join_token"
}

func (*joinToken) Schema(_ context.Context, _ resource.SchemaRequest, answer *resource.SchemaResponse) {
	word := func(description string) schema.StringAttribute {
		return schema.StringAttribute{
			Optional: true, Description: description,
			PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
		}
	}
	number := func(description string) schema.Int64Attribute {
		return schema.Int64Attribute{
			Optional: true, Description: description,
			PlanModifiers: []planmodifier.Int64{int64planmodifier.RequiresReplace()},
		}
	}
	made := func(description string) schema.StringAttribute {
		return schema.StringAttribute{
			Computed: true, Description: description,
			PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
		}
	}
	node, names, group := word(nodeIDText), word(namesText), word(groupText)
	uses, silence, ttl := number(usesText), number(silenceText), number(ttlText)
	node.Validators, names.Validators, group.Validators = nodeName, nodeNames, groupName
	uses.Validators, silence.Validators, ttl.Validators = useCount, silenceTime, lifetime
	ttl.Optional, ttl.Required = false, true
	token := made("The token. It is in the state: give `file`, or use the ephemeral resource, where that can be helped.")
	token.Sensitive = true
	answer.Schema = schema.Schema{
		Description: "A join token that can be used until it expires or is destroyed.",
		Attributes: map[string]schema.Attribute{
			"node_id": node, "names": names, "group": group, "uses": uses, "silence_s": silence, "ttl_s": ttl,
			"file": word("The token goes into this file, mode 0600, and not into the state. " +
				"The file is removed with the token."),
			"renew": schema.BoolAttribute{
				Optional:    true,
				Description: "Replaced once it cannot be used any more; without it, what it was stays as it is.",
			},
			"id":         made("Its name in the record."),
			"token":      token,
			"expires_at": made(expiresAtText),
			"usable": schema.BoolAttribute{
				Computed: true, Description: "Whether it could be used when it was last looked at.",
				PlanModifiers: []planmodifier.Bool{boolplanmodifier.UseStateForUnknown()},
			},
		},
	}
}

func (r *joinToken) Configure(_ context.Context, request resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	r.controller = theController(request.ProviderData)
}

func (r *joinToken) Create(ctx context.Context, request resource.CreateRequest, answer *resource.CreateResponse) {
	var model joinTokenModel
	answer.Diagnostics.Append(request.Plan.Get(ctx, &model)...)
	if answer.Diagnostics.HasError() {
		return
	}
	issued, err := r.controller.issueToken(ctx, model.tokenScope)
	if err != nil {
		answer.Diagnostics.AddError("No join token was made", err.Error())
		return
	}
	model.ID = types.StringValue(issued.ID)
	model.ExpiresAt = timeText(issued.ExpiresAt)
	model.Usable = types.BoolValue(true)
	model.Token = types.StringValue(issued.Token)
	if !model.File.IsNull() {
		model.Token = types.StringNull()
		if err := writeTokenFile(model.File.ValueString(), issued.Token); err != nil {
			answer.Diagnostics.AddAttributeError(path.Root("file"), "The join token could not be written", err.Error())
			if err := r.controller.withdrawToken(ctx, issued.ID); err != nil {
				answer.Diagnostics.AddError("The join token was not withdrawn", err.Error())
			}
			return
		}
	}
	answer.Diagnostics.Append(answer.State.Set(ctx, &model)...)
}

func (r *joinToken) Read(ctx context.Context, request resource.ReadRequest, answer *resource.ReadResponse) {
	var model joinTokenModel
	answer.Diagnostics.Append(request.State.Get(ctx, &model)...)
	if answer.Diagnostics.HasError() {
		return
	}
	usable, err := r.controller.isOpenToken(ctx, model.ID.ValueString())
	if err != nil {
		answer.Diagnostics.AddError("The join tokens could not be read", err.Error())
		return
	}
	model.Usable = types.BoolValue(usable)
	answer.Diagnostics.Append(answer.State.Set(ctx, &model)...)
}

// ModifyPlan replaces a token that is of no use any more, where that is wanted.
func (*joinToken) ModifyPlan(ctx context.Context, request resource.ModifyPlanRequest, answer *resource.ModifyPlanResponse) {
	if request.State.Raw.IsNull() || request.Plan.Raw.IsNull() {
		return
	}
	var planned, present joinTokenModel
	answer.Diagnostics.Append(request.Plan.Get(ctx, &planned)...)
	answer.Diagnostics.Append(request.State.Get(ctx, &present)...)
	if answer.Diagnostics.HasError() || !planned.Renew.ValueBool() || present.Usable.ValueBool() {
		return
	}
	answer.Diagnostics.Append(answer.Plan.SetAttribute(ctx, path.Root("usable"), types.BoolUnknown())...)
	answer.RequiresReplace = append(answer.RequiresReplace, path.Root("usable"))
}

// Update has `renew` to remember, and nothing to do: everything else replaces the token.
func (*joinToken) Update(ctx context.Context, request resource.UpdateRequest, answer *resource.UpdateResponse) {
	var model joinTokenModel
	answer.Diagnostics.Append(request.Plan.Get(ctx, &model)...)
	if !answer.Diagnostics.HasError() {
		answer.Diagnostics.Append(answer.State.Set(ctx, &model)...)
	}
}

func (r *joinToken) Delete(ctx context.Context, request resource.DeleteRequest, answer *resource.DeleteResponse) {
	var model joinTokenModel
	answer.Diagnostics.Append(request.State.Get(ctx, &model)...)
	if answer.Diagnostics.HasError() {
		return
	}
	if err := r.controller.withdrawToken(ctx, model.ID.ValueString()); err != nil {
		answer.Diagnostics.AddError("The join token was not withdrawn", err.Error())
		return
	}
	if model.File.IsNull() {
		return
	}
	if err := removeTokenFile(model.File.ValueString(), model.ID.ValueString()); err != nil {
		answer.Diagnostics.AddAttributeWarning(path.Root("file"), "The file of a withdrawn join token stays", err.Error())
	}
}
