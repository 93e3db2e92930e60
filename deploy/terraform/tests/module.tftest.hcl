# `terraform test`, without an account: nothing is created.
mock_provider "google" {
  mock_resource "google_service_account" {
    defaults = {
      email  = "an-account@my-project.iam.gserviceaccount.com"
      member = "serviceAccount:an-account@my-project.iam.gserviceaccount.com"
    }
  }
}

variables {
  project = "my-project"
  region  = "europe-west1"
  image   = "europe-west1-docker.pkg.dev/my-project/ml/ml-model:1.0"
}

run "the_model_in_the_image" {
  assert {
    condition     = google_cloud_run_v2_service.service.template[0].service_account == google_service_account.service.email
    error_message = "The service runs as an account of its own."
  }
  assert {
    condition     = google_cloud_run_v2_service.service.ingress == "INGRESS_TRAFFIC_ALL" && length(google_cloud_run_v2_service_iam_member.invoker) == 0
    error_message = "By default the service is reached from the internet, and nobody may call it."
  }
  assert {
    condition     = length(google_cloud_run_v2_service.service.template[0].containers[0].env) == 0 && output.model_uri == null && output.build_account == null
    error_message = "Without a bucket, secrets and a trigger there is nothing of them."
  }
  assert {
    condition     = length(google_storage_bucket.models) + length(google_secret_manager_secret.setting) + length(google_cloudbuild_trigger.build) + length(google_project_iam_member.build) == 0
    error_message = "Without a bucket, secrets and a trigger there is nothing of them."
  }
  assert {
    condition     = toset(keys(google_project_service.api)) == toset(["run.googleapis.com"])
    error_message = "Only the APIs that are used are enabled."
  }
}

run "a_bucket_and_a_secret" {
  variables {
    bucket   = "my-bucket"
    secrets  = { REDIS_URL = "redis-url" }
    settings = { LOG_REQUESTS = "all" }
    network  = { network = "default", subnetwork = "default" }
    ingress  = "internal-and-cloud-load-balancing"
    invokers = ["user:somebody@example.com"]
  }

  assert {
    condition = tomap({ for one in google_cloud_run_v2_service.service.template[0].containers[0].env : one.name => one.value if length(one.value_source) == 0 }) == tomap({
      LOG_REQUESTS = "all"
      MODEL_URI    = "gs://my-bucket/model"
    })
    error_message = "The service reads the model in the bucket, with the caller's settings."
  }
  assert {
    condition = tomap({ for one in google_cloud_run_v2_service.service.template[0].containers[0].env : one.name => one.value_source[0].secret_key_ref[0].secret if length(one.value_source) > 0 }) == tomap({
      REDIS_URL = "redis-url"
    })
    error_message = "The service gets the secret."
  }
  assert {
    condition     = google_storage_bucket_iam_member.service[0].role == "roles/storage.objectViewer" && google_storage_bucket_iam_member.service[0].member == google_service_account.service.member
    error_message = "The service may read the bucket, and nothing else of it."
  }
  assert {
    condition     = google_secret_manager_secret_iam_member.service["REDIS_URL"].role == "roles/secretmanager.secretAccessor"
    error_message = "The service may read the secret."
  }
  assert {
    condition     = google_storage_bucket.models[0].public_access_prevention == "enforced" && !google_storage_bucket.models[0].force_destroy
    error_message = "The bucket is private, and is not deleted with models in it."
  }
  assert {
    condition     = google_cloud_run_v2_service.service.ingress == "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER" && google_cloud_run_v2_service_iam_member.invoker["user:somebody@example.com"].role == "roles/run.invoker"
    error_message = "Ingress and callers are those of the variables."
  }
}

run "a_trigger" {
  variables {
    name    = "fraud-model"
    trigger = { owner = "me", repository = "models", substitutions = { _GOLDEN = "fraud/golden.json" } }
  }

  assert {
    condition = google_cloudbuild_trigger.build["build"].substitutions == tomap({
      _GOLDEN      = "fraud/golden.json"
      _REGION      = "europe-west1"
      _REPOSITORY  = "ml"
      _RUN_ACCOUNT = "fraud-model"
      _SERVICE     = "fraud-model"
    })
    error_message = "The build deploys this service."
  }
  assert {
    condition     = google_service_account.build["build"].account_id == "fraud-model-build" && google_cloudbuild_trigger.build["build"].service_account == google_service_account.build["build"].id
    error_message = "The build has an account of its own."
  }
  assert {
    condition     = toset(keys(google_cloud_run_v2_service_iam_member.build)) == toset(["roles/run.developer", "roles/run.invoker"])
    error_message = "The build may deploy and call this service alone."
  }
  assert {
    condition     = contains(keys(google_project_service.api), "containeranalysis.googleapis.com")
    error_message = "Provenance needs the Container Analysis API."
  }
}

run "refused" {
  command = plan

  variables {
    project       = "My Project"
    region        = "europe-west1-b"
    name          = "ML"
    image         = "ml-model"
    settings      = { PORT = "80" }
    bucket        = "gs://my-bucket"
    model_path    = "/model"
    cpu           = 4
    memory        = 1
    min_instances = 3
    max_instances = 2
    ingress       = "external"
    invokers      = ["allUsers"]
    trigger       = { owner = "me", repository = "models", substitutions = { golden = "golden.json" } }
  }

  expect_failures = [
    var.project, var.region, var.name, var.image, var.settings, var.bucket, var.model_path, var.memory,
    var.min_instances, var.ingress, var.invokers, var.trigger,
  ]
}

run "refused_together" {
  command = plan

  variables {
    cpu           = 3
    max_instances = 0
    settings      = { REDIS_URL = "redis://10.0.0.3" }
    secrets       = { REDIS_URL = "redis-url" }
  }

  expect_failures = [var.cpu, var.max_instances, var.secrets]
}
