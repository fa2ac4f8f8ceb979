variable "controller" {
  description = "URL of the controller, as nodes reach it."
  type        = string

  validation {
    condition     = can(regex("^https?://[^/?#\"\\\\$`[:space:]]+/?$", var.controller))
    error_message = "Expected a URL such as https://mesh.example:8440."
  }
}

variable "nodes" {
  description = "The nodes, by name. `options` are further ones of `meshnet node`, a word each."
  type = map(object({
    listen_port = optional(number)
    advertise   = optional(string)
    options     = optional(list(string), [])
  }))

  validation {
    condition     = alltrue([for name in keys(var.nodes) : can(regex("^[a-z0-9-]{1,63}$", name))])
    error_message = "Expected names of 1 to 63 of a-z, 0-9 and hyphen."
  }

  validation {
    condition = alltrue([for node in values(var.nodes) :
      node.advertise == null || can(regex("^[0-9A-Fa-f.:]+$", node.advertise))
    ])
    error_message = "Expected IP addresses as advertise."
  }

  validation {
    condition = alltrue(flatten([for node in values(var.nodes) :
      [for word in node.options : can(regex("^[^\"'\\\\$`[:space:]]+$", word))]
    ]))
    error_message = "Expected options without white space, quotes, backslashes and dollars: one word each. What a node needs to say more is a script on its machine."
  }
}

variable "join_tokens" {
  description = "Join tokens by node, for `deliver`: of the ephemeral resource meshnet_join_token, or of `meshnet token create`."
  type        = map(string)
  default     = {}
  sensitive   = true
  ephemeral   = true
}

variable "deliver" {
  description = "A command that is run here, for each node that is new: brings MESHNET_TOKEN (and MESHNET_NODE_OPTIONS) to the machine of NODE_NAME, and returns when the node has enrolled. They are in its environment."
  type        = string
  default     = null
}

variable "install" {
  description = "Commands that install the package on a machine, for `user_data`."
  type        = list(string)
  default     = []
}

variable "token_command" {
  description = "A command that prints the join token of NODE_NAME on its machine, for `user_data`: from a store of secrets that lets this machine read it."
  type        = string
  default     = null
}
