output "url" {
  description = "The service's address, which is also the audience of identity tokens."
  value       = google_cloud_run_v2_service.service.uri
}

output "service_account" {
  description = "The address of the service's account: grant it what the model needs besides."
  value       = google_service_account.service.email
}

output "build_account" {
  description = "The address of the build's account; null without a trigger."
  value       = one([for account in google_service_account.build : account.email])
}

output "model_uri" {
  description = "Where to upload the model; null without a bucket."
  value       = local.model_uri
}
