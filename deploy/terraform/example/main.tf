# Two machines become nodes; destroying it takes them out of the mesh again. The access token comes in
# MESHNET_ACCESS_TOKEN.

terraform {
  required_providers {
    meshnet = { source = "aligned-meshnet/meshnet" }
  }
}

variable "controller" {
  type = string
}

variable "policy" {
  description = "A policy document, JSON."
  type        = string
}

variable "nodes" {
  type = map(object({
    listen_port = optional(number)
    advertise   = optional(string)
    options     = optional(list(string), [])
  }))
}

variable "deliver" {
  type    = string
  default = <<-EOT
    printf 'MESHNET_NODE_OPTIONS="%s"\n' "$MESHNET_NODE_OPTIONS" |
      ssh "root@$NODE_NAME" 'cat > /etc/default/meshnet-node'
    printf '%s\n' "$MESHNET_TOKEN" |
      ssh "root@$NODE_NAME" 'install -D -m 600 /dev/stdin /etc/meshnet/join-token &&
        systemctl enable --now meshnet-node'
  EOT
}

provider "meshnet" {
  controller = var.controller
}

resource "meshnet_policy" "mesh" {
  document = var.policy
}

# In no plan and no state: made for each run, and withdrawn at its end.
ephemeral "meshnet_join_token" "node" {
  for_each = var.nodes

  node_id = each.key
  ttl_s   = 3600
}

module "nodes" {
  source = "../module"

  controller  = var.controller
  nodes       = var.nodes
  deliver     = var.deliver
  join_tokens = { for name, made in ephemeral.meshnet_join_token.node : name => made.token }
}

resource "meshnet_node" "each" {
  for_each = module.nodes.options

  node_id = each.key
  wait_s  = 60
}

data "meshnet_status" "now" {
  depends_on = [meshnet_node.each]
}

# A warning names who is not in, and why.
check "members" {
  assert {
    condition = alltrue([for name in keys(var.nodes) :
      try(data.meshnet_status.now.nodes[name].allowed, false)
    ])
    error_message = join("\n", [for name, node in data.meshnet_status.now.nodes :
      "${name}: ${node.explanation}" if !node.allowed
    ])
  }
}

output "addresses" {
  value = { for name, node in meshnet_node.each : name => node.tunnel_address }
}
