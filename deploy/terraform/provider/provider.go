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
	certVariable  = "MESHNET_CLIENT_CERT"
	keyVariable   = "MESHNET_CLIENT_KEY"
	meshVariable  = "MESHNET_MESH_ID"
)

type meshnet struct{}

func newProvider() provider.Provider { return &meshnet{} }

type providerConfig struct {
	Controller    types.String `tfsdk:"controller"`
	AccessToken   types.String `tfsdk:"access_token"`
	ClientCert    types.String `tfsdk:"client_cert"`
	ClientKey     types.String `tfsdk:"client_key"`
	MeshID        types.String `tfsdk:"mesh_id"`
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
			"client_cert": schema.StringAttribute{
				Optional: true,
				Description: "A client certificate in place of a token, or beside it: PEM, or the path of a file; without it, " +
					certVariable + ".",
			},
			"client_key": schema.StringAttribute{
				Optional:  true,
				Sensitive: true,
				Description: "Its private key: PEM, or the path of a file that only its owner may read; without it, " +
					keyVariable + ".",
			},
			"mesh_id": schema.StringAttribute{
				Optional: true,
				Description: "The id of the mesh, where no token names it: what `meshnet status --json` shows; without it, " +
					meshVariable + ".",
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
	if address == "" && !answer.Diagnostics.HasError() {
		answer.Diagnostics.AddAttributeError(path.Root("controller"), "Not given",
			fmt.Sprintf("Expected the attribute controller or the environment variable %s.", urlVariable))
	}
	shown := credentials{
		token: strings.TrimSpace(given(&answer.Diagnostics, "access_token", config.AccessToken, tokenVariable)),
		cert:  given(&answer.Diagnostics, "client_cert", config.ClientCert, certVariable),
		key:   given(&answer.Diagnostics, "client_key", config.ClientKey, keyVariable),
		mesh:  given(&answer.Diagnostics, "mesh_id", config.MeshID, meshVariable),
	}
	if shown.token == "" && shown.cert == "" && !answer.Diagnostics.HasError() {
		answer.Diagnostics.AddAttributeError(path.Root("access_token"), "Not given",
			fmt.Sprintf("Expected the attribute access_token or the environment variable %s, "+
				"or a client certificate: client_cert, client_key and mesh_id.", tokenVariable))
	}
	if answer.Diagnostics.HasError() {
		return
	}
	made, err := newController(address, shown, config.CACertificate.ValueString())
	if err != nil {
		answer.Diagnostics.AddError("The controller cannot be spoken to", err.Error())
		return
	}
	answer.ResourceData, answer.DataSourceData, answer.EphemeralResourceData = made, made, made
}

// given is an attribute's value, or that of the variable that stands for it; empty if neither is there.
func given(found *diag.Diagnostics, name string, value types.String, variable string) string {
	if value.IsUnknown() {
		found.AddAttributeError(path.Root(name), "Not known yet",
			fmt.Sprintf("%s depends on what is made in this run; expected a value that is known when it begins.", name))
		return ""
	}
	if text := value.ValueString(); text != "" {
		return text
	}
	return os.Getenv(variable)
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
