resource "google_storage_bucket" "models" {
  count = var.bucket == null ? 0 : 1

  project                     = var.project
  name                        = var.bucket
  location                    = var.region
  labels                      = local.labels
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !var.deletion_protection

  # An upload that replaced a model can be undone.
  versioning {
    enabled = true
  }

  lifecycle_rule {
    condition {
      num_newer_versions = 5
    }
    action {
      type = "Delete"
    }
  }

  depends_on = [google_project_service.api]
}

resource "google_storage_bucket_iam_member" "service" {
  count = var.bucket == null ? 0 : 1

  bucket = google_storage_bucket.models[0].name
  role   = "roles/storage.objectViewer"
  member = google_service_account.service.member
}

# The values are not Terraform's: it would write them into its state.
resource "google_secret_manager_secret" "setting" {
  for_each = var.secrets

  project   = var.project
  secret_id = each.value
  labels    = local.labels

  replication {
    auto {}
  }

  depends_on = [google_project_service.api]
}

resource "google_secret_manager_secret_iam_member" "service" {
  for_each = google_secret_manager_secret.setting

  project   = var.project
  secret_id = each.value.secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.service.member
}
