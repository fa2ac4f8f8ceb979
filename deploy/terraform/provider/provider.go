package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

const (
	urlVariable   = "MESHNET_CONTROLLER"
	tokenVariable = "MESHNET_ACCESS_TOKEN"
)

type meshnet struct{}

func newProvider() provider.Provider { return &meshnet{} }

type providerConfig struct {
	Controller    types.String `tfsdk:"controller"`
	AccessToken   types.String `tfsdk:"access_token"`
	CACertificate types.String `tfsdk:"ca_certificate"`
}

func (*meshnet) Metadata(_ context.Context, _ provider.MetadataRequest, answer *provider.MetadataResponse) {
	answer.TypeName = "meshnet"
}

func (*meshnet) Schema(_ context.Context, _ provider.SchemaRequest, answer *provider.SchemaResponse) {
	answer.Schema = schema.Schema{
		Description: "Administers a mesh by its controller's admin API.",
		Attributes: map[string]schema.Attribute{
			"controller": schema.StringAttribute{
				Optional:    true,
				Description: "URL of the controller; without it, " + urlVariable + ".",
			},
			"access_token": schema.StringAttribute{
				Optional:  true,
				Sensitive: true,
				Description: "What `meshnet access create` printed; without it, " + tokenVariable +
					". It names the mesh, and so whose certificate is believed.",
			},
			"ca_certificate": schema.StringAttribute{
				Optional: true,
				Description: "PEM of the authorities that are believed beside the mesh's own; without it, " +
					"those of this machine.",
			},
		},
	}
}

func (*meshnet) Configure(ctx context.Context, request provider.ConfigureRequest, answer *provider.ConfigureResponse) {
	var config providerConfig
	answer.Diagnostics.Append(request.Config.Get(ctx, &config)...)
	if answer.Diagnostics.HasError() {
		return
	}
	address := given(&answer.Diagnostics, "controller", config.Controller, urlVariable)
	token := given(&answer.Diagnostics, "access_token", config.AccessToken, tokenVariable)
	if answer.Diagnostics.HasError() {
		return
	}
	made, err := newController(address, strings.TrimSpace(token), config.CACertificate.ValueString())
	if err != nil {
		answer.Diagnostics.AddError("The controller cannot be spoken to", err.Error())
		return
	}
	answer.ResourceData, answer.DataSourceData, answer.EphemeralResourceData = made, made, made
}

// given is an attribute's value, or that of the variable that stands for it.
func given(found *diag.Diagnostics, name string, value types.String, variable string) string {
	if value.IsUnknown() {
		found.AddAttributeError(path.Root(name), "Not known yet",
			fmt.Sprintf("%s depends on what is made in this run; expected a value that is known when it begins.", name))
		return ""
	}
	text := value.ValueString()
	if text == "" {
		text = os.Getenv(variable)
	}
	if text == "" {
		found.AddAttributeError(path.Root(name), "Not given",
			fmt.Sprintf("Expected the attribute %s or the environment variable %s.", name, variable))
	}
	return text
}

func (*meshnet) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{newJoinTokenResource, newNodeResource, newPolicyResource}
}

func (*meshnet) EphemeralResources(context.Context) []func() ephemeral.EphemeralResource {
	return []func() ephemeral.EphemeralResource{newEphemeralJoinToken}
}

func (*meshnet) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{newStatusDataSource}
}

// theController is what Configure made; before that, while only checking, nil.
func theController(data any) *controller {
	made, _ := data.(*controller)
	return made
}
