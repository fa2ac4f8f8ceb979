output "options" {
  description = "MESHNET_NODE_OPTIONS by node: what goes into /etc/default/meshnet-node."
  value       = local.options
  depends_on  = [terraform_data.enrolment]
}

output "user_data" {
  description = "cloud-init's user data by node. There is no secret in it."
  value       = local.user_data
}
