package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// Where Close finds what Open made.
const tokenIDKey = "token_id"

// ephemeralJoinToken is a join token that neither plan nor state ever has.
type ephemeralJoinToken struct{ controller *controller }

func newEphemeralJoinToken() ephemeral.EphemeralResource { return &ephemeralJoinToken{} }

type ephemeralTokenModel struct {
	tokenScope
	Keep      types.Bool   `tfsdk:"keep"`
	ID        types.String `tfsdk:"id"`
	Token     types.String `tfsdk:"token"`
	ExpiresAt types.String `tfsdk:"expires_at"`
}

func (*ephemeralJoinToken) Metadata(_ context.Context, _ ephemeral.MetadataRequest, answer *ephemeral.MetadataResponse) {
	answer.TypeName = "meshnet_join_token"
}

func (*ephemeralJoinToken) Schema(_ context.Context, _ ephemeral.SchemaRequest, answer *ephemeral.SchemaResponse) {
	answer.Schema = schema.Schema{
		Description: "A join token for the duration of a run, in no plan and no state. Each plan and each apply " +
			"makes one, and withdraws it at its end.",
		Attributes: map[string]schema.Attribute{
			"node_id":   schema.StringAttribute{Optional: true, Validators: nodeName, Description: nodeIDText},
			"names":     schema.StringAttribute{Optional: true, Validators: nodeNames, Description: namesText},
			"group":     schema.StringAttribute{Optional: true, Validators: groupName, Description: groupText},
			"uses":      schema.Int64Attribute{Optional: true, Validators: useCount, Description: usesText},
			"silence_s": schema.Int64Attribute{Optional: true, Validators: silenceTime, Description: silenceText},
			"ttl_s":     schema.Int64Attribute{Required: true, Validators: lifetime, Description: ttlText},
			"keep": schema.BoolAttribute{
				Optional: true,
				Description: "It outlives the run, until it expires: for a machine that joins later. " +
					"Plans leave theirs, too.",
			},
			"id":         schema.StringAttribute{Computed: true, Description: "Its name in the record."},
			"token":      schema.StringAttribute{Computed: true, Sensitive: true, Description: "The token."},
			"expires_at": schema.StringAttribute{Computed: true, Description: expiresAtText},
		},
	}
}

func (r *ephemeralJoinToken) Configure(_ context.Context, request ephemeral.ConfigureRequest, _ *ephemeral.ConfigureResponse) {
	r.controller = theController(request.ProviderData)
}

func (r *ephemeralJoinToken) Open(ctx context.Context, request ephemeral.OpenRequest, answer *ephemeral.OpenResponse) {
	var model ephemeralTokenModel
	answer.Diagnostics.Append(request.Config.Get(ctx, &model)...)
	if answer.Diagnostics.HasError() {
		return
	}
	issued, err := r.controller.issueToken(ctx, model.tokenScope)
	if err != nil {
		answer.Diagnostics.AddError("No join token was made", err.Error())
		return
	}
	if !model.Keep.ValueBool() {
		// Private data is JSON; ids are base64url.
		answer.Diagnostics.Append(answer.Private.SetKey(ctx, tokenIDKey, []byte(`"`+issued.ID+`"`))...)
	}
	model.ID = types.StringValue(issued.ID)
	model.Token = types.StringValue(issued.Token)
	model.ExpiresAt = timeText(issued.ExpiresAt)
	answer.Diagnostics.Append(answer.Result.Set(ctx, &model)...)
}

func (r *ephemeralJoinToken) Close(ctx context.Context, request ephemeral.CloseRequest, answer *ephemeral.CloseResponse) {
	kept, found := request.Private.GetKey(ctx, tokenIDKey)
	answer.Diagnostics.Append(found...)
	if len(kept) < 2 {
		return
	}
	if err := r.controller.withdrawToken(ctx, string(kept[1:len(kept)-1])); err != nil {
		answer.Diagnostics.AddError("The join token was not withdrawn", err.Error())
	}
}
