locals {
  labels = merge({ app = var.name }, var.labels)

  ingress = {
    all                               = "INGRESS_TRAFFIC_ALL"
    internal                          = "INGRESS_TRAFFIC_INTERNAL_ONLY"
    internal-and-cloud-load-balancing = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
  }

  # What the service needs, and what the builds need.
  apis = concat(
    ["run.googleapis.com"],
    var.bucket == null ? [] : ["storage.googleapis.com"],
    length(var.secrets) == 0 ? [] : ["secretmanager.googleapis.com"],
    var.trigger == null ? [] : [
      "artifactregistry.googleapis.com",
      "cloudbuild.googleapis.com",
      "containeranalysis.googleapis.com",
      "iamcredentials.googleapis.com",
    ],
  )

  model_uri = var.bucket == null ? null : "gs://${var.bucket}/${var.model_path}"
  # A setting of the caller comes before the module's.
  env = merge(local.model_uri == null ? {} : { MODEL_URI = local.model_uri }, var.settings)
}

resource "google_project_service" "api" {
  for_each = toset(local.apis)

  project            = var.project
  service            = each.value
  disable_on_destroy = false
}

resource "google_service_account" "service" {
  project      = var.project
  account_id   = var.name
  display_name = "${var.name} on Cloud Run"
}

# The settings of service.yaml.
resource "google_cloud_run_v2_service" "service" {
  project             = var.project
  location            = var.region
  name                = var.name
  labels              = local.labels
  ingress             = local.ingress[var.ingress]
  deletion_protection = var.deletion_protection

  template {
    labels                           = local.labels
    service_account                  = google_service_account.service.email
    execution_environment            = "EXECUTION_ENVIRONMENT_GEN2"
    max_instance_request_concurrency = 80
    timeout                          = "3600s"

    scaling {
      min_instance_count = var.min_instances
      max_instance_count = var.max_instances
    }

    containers {
      image = var.image

      ports {
        name           = "http1"
        container_port = 8080
      }

      resources {
        limits            = { cpu = tostring(var.cpu), memory = "${var.memory}Gi" }
        cpu_idle          = !var.cpu_always_allocated
        startup_cpu_boost = true
      }

      dynamic "env" {
        for_each = local.env
        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = google_secret_manager_secret.setting
        content {
          name = env.key
          value_source {
            secret_key_ref {
              secret  = env.value.secret_id
              version = "latest"
            }
          }
        }
      }

      # 240 s in all, the maximum of Cloud Run; every second, because a cold start waits for the probe.
      startup_probe {
        period_seconds    = 1
        timeout_seconds   = 1
        failure_threshold = 240
        http_get {
          path = "/ready"
          port = 8080
        }
      }

      liveness_probe {
        period_seconds    = 15
        timeout_seconds   = 5
        failure_threshold = 3
        http_get {
          path = "/health"
          port = 8080
        }
      }
    }

    dynamic "vpc_access" {
      for_each = var.network == null ? [] : [var.network]
      content {
        egress = "PRIVATE_RANGES_ONLY"
        network_interfaces {
          network    = vpc_access.value.network
          subnetwork = vpc_access.value.subnetwork
        }
      }
    }
  }

  lifecycle {
    # Cloud Build and gcloud deploy: they change these.
    ignore_changes = [client, client_version, template[0].containers[0].image, traffic]
  }

  depends_on = [
    google_project_service.api,
    google_secret_manager_secret_iam_member.service,
    google_storage_bucket_iam_member.service,
  ]
}

resource "google_cloud_run_v2_service_iam_member" "invoker" {
  for_each = var.invokers

  project  = var.project
  location = var.region
  name     = google_cloud_run_v2_service.service.name
  role     = "roles/run.invoker"
  member   = each.value
}
