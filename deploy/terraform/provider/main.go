// Command terraform-provider-meshnet lets Terraform and OpenTofu administer a mesh.
package main

import (
	"context"
	"log"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
)

func main() {
	options := providerserver.ServeOpts{Address: "aligned-meshnet.example/aligned-meshnet/meshnet"}
	if err := providerserver.Serve(context.Background(), newProvider, options); err != nil {
		log.Fatal(err)
	}
}
