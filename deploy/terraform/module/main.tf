# Machines that become nodes of a mesh. Needs nothing but Terraform itself: keys are made on the machines
# and never leave them; tokens are in neither plan nor state nor user data.

terraform {
  required_version = ">= 1.10"
}

locals {
  # The content of MESHNET_NODE_OPTIONS, by node.
  options = { for name, node in var.nodes : name => join(" ", concat(
    ["--controller", var.controller, "--name", name],
    node.listen_port == null ? [] : ["--listen-port", tostring(node.listen_port)],
    node.advertise == null ? [] : ["--advertise", node.advertise],
    node.options,
  )) }

  user_data = { for name, options in local.options : name => join("\n", ["#cloud-config", yamlencode({
    write_files = [{
      path        = "/etc/default/meshnet-node"
      permissions = "0644"
      content     = "MESHNET_NODE_OPTIONS=\"${options}\"\n"
    }]
    runcmd = concat(
      [for command in var.install : ["sh", "-ec", command]],
      var.token_command == null ? [] : [["sh", "-ec", join("\n", [
        "umask 077",
        "mkdir -p /etc/meshnet",
        "export NODE_NAME=${name}",
        "{ ${var.token_command}",
        "} > /etc/meshnet/join-token",
      ])]],
      [["systemctl", "enable", "--now", "meshnet-node"]],
    )
  })]) }
}

# Once for each node, and again when its options change.
resource "terraform_data" "enrolment" {
  for_each = var.deliver == null ? {} : local.options

  triggers_replace = each.value

  provisioner "local-exec" {
    command = ": \"$${MESHNET_TOKEN:?there is no join token for ${each.key}}\"\n${var.deliver}"
    environment = {
      NODE_NAME            = each.key
      MESHNET_NODE_OPTIONS = each.value
      MESHNET_TOKEN        = lookup(var.join_tokens, each.key, "")
    }
  }
}
