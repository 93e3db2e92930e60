# The build's account: it deploys this service, and has no role on others.
locals {
  builds = var.trigger == null ? {} : { build = var.trigger }

  build_roles = {
    # To write its own log, to find the service, and to read the request logs while it moves the traffic.
    log     = "roles/logging.logWriter"
    service = "roles/run.viewer"
    errors  = "roles/logging.viewer"
  }
}

resource "google_service_account" "build" {
  for_each = local.builds

  project      = var.project
  account_id   = "${var.name}-build"
  display_name = "Builds ${var.name}"
}

resource "google_project_iam_member" "build" {
  for_each = var.trigger == null ? {} : local.build_roles

  project = var.project
  role    = each.value
  member  = google_service_account.build["build"].member
}

# To deploy a revision, and to send it the rows of the smoke test.
resource "google_cloud_run_v2_service_iam_member" "build" {
  for_each = var.trigger == null ? [] : toset(["roles/run.developer", "roles/run.invoker"])

  project  = var.project
  location = var.region
  name     = google_cloud_run_v2_service.service.name
  role     = each.value
  member   = google_service_account.build["build"].member
}

resource "google_artifact_registry_repository_iam_member" "build" {
  for_each = local.builds

  project    = var.project
  location   = var.region
  repository = each.value.image_repository
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.build[each.key].member
}

# To let a revision run as the service's account.
resource "google_service_account_iam_member" "build_acts_as_service" {
  for_each = local.builds

  service_account_id = google_service_account.service.name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.build[each.key].member
}

# For the identity token of the smoke test.
resource "google_service_account_iam_member" "build_token" {
  for_each = local.builds

  service_account_id = google_service_account.build[each.key].name
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  member             = google_service_account.build[each.key].member
}

resource "google_cloudbuild_trigger" "build" {
  for_each = local.builds

  project         = var.project
  location        = var.region
  name            = var.name
  filename        = each.value.file
  service_account = google_service_account.build[each.key].id

  substitutions = merge({
    _REGION      = var.region
    _REPOSITORY  = each.value.image_repository
    _SERVICE     = var.name
    _RUN_ACCOUNT = var.name
  }, each.value.substitutions)

  github {
    owner = each.value.owner
    name  = each.value.repository
    push {
      branch = each.value.branch
    }
  }

  approval_config {
    approval_required = each.value.approval_required
  }

  depends_on = [google_project_service.api]
}
